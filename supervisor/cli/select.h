// Names: what a user types to mean units, matched the same way as the supervisor does it.
//
// A key first, then the base name of instances, "all", GROUP:*, globs and last display names. The
// order of `known` is kept and nothing comes twice.
#pragma once

#include "units/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::cli {

struct NamedUnit {
    std::string key, name, group;
};

// Keys; an Error "no unit named …" with a guess for the first name that matches nothing.
Result<std::vector<std::string>> select_units(const std::vector<NamedUnit>& known,
                                              const std::vector<std::string>& wanted);

// The nearest of `known`, or "" when nothing is near enough.
std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known);

std::string no_such_unit(std::string_view typed, const std::vector<NamedUnit>& known);
std::string in_quotes(std::string_view foreign); // "…" safe for a terminal

} // namespace keepwell::cli
