// Names as people type them, resolved to unit keys: a key, all instances of a base name, GROUP:*,
// "all", a glob, or a display name; a key beats the others. Pure.
#pragma once

#include "units/result.h"
#include "units/unit_spec.h"

#include <string>
#include <vector>

namespace keepwell {

// Keys in the order of `units`, each once. Error: a name that matches nothing, with the nearest one
// named.
Result<std::vector<std::string>> resolve_names(const std::vector<const UnitSpec*>& units,
                                               const std::vector<std::string>& names);

// The key of a unit that a pattern found: "workers@mail" for worker@mail.service. What a key cannot
// have is replaced, and a hash keeps such keys apart.
std::string instance_key(const std::string& pattern_key, const std::string& unit);

} // namespace keepwell
