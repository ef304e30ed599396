// The keys that only some kinds of unit have: pidfile, systemd and bus, match and its numbers,
// log_files; and what a kind cannot use.
#pragma once

#include "supervisor/config/context.h"
#include "supervisor/config/reader.h"
#include "units/unit_spec.h"

namespace keepwell::config {

// Takes the keys for every kind, so that none is called unknown. Needs spec.kind.
void read_kind_keys(Reader& unit, UnitSpec& spec, const Context&);
// Once all is read: says what does not go together, and settles what the kind decides itself.
void check_kind_keys(Reader& unit, UnitSpec& spec, bool is_template);
// The name of a unit of systemd; a service when it has no type.
bool read_systemd_name(Reader&, std::string_view key, std::string& to);
// "system", "user" or an address.
void read_bus(Reader&, std::string& to, bool user_run);
// "nginx" or ["nginx", "gunicorn*"]; an empty pattern is an error.
bool read_patterns(Reader&, std::string_view key, std::vector<std::string>& to);

} // namespace keepwell::config
