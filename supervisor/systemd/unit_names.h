// Names of systemd units: are they valid, do they match a glob, and what is their D-Bus object?
//
// A name that is not valid never reaches the bus: a malformed object path would end the connection.
#pragma once

#include <string>
#include <string_view>

namespace keepwell::systemd {

inline constexpr std::string_view kUnitPaths = "/org/freedesktop/systemd1/unit/";

// "web.service", "worker@3.service"; not a bare template ("worker@.service"), which is no unit.
bool valid_unit_name(std::string_view);
// Like a name, with *, ? and [] in it; at least one of them.
bool valid_unit_glob(std::string_view);
bool matches(const std::string& glob, const std::string& name);

// Every byte but letters and digits (a digit also at the start) becomes _XX, as systemd does it.
std::string unit_object_path(std::string_view name);

} // namespace keepwell::systemd
