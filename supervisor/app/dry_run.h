// What a unit in a dry run would have done to it, in words for its timeline. Pure.
//
// service: the one of systemd that the unit is, or belongs to; empty = none.
#pragma once

#include "units/unit_spec.h"

#include <cstdint>
#include <string>

namespace keepwell {

std::string would_start(const UnitSpec&, const std::string& service);
std::string would_stop(const UnitSpec&, const std::string& service, std::int64_t pid);
std::string would_reload(const UnitSpec&);
std::string would_signal(int signal, const std::string& service, std::int64_t pid);

} // namespace keepwell
