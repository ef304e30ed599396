// "did you mean …": the nearest known word, or nothing when none is near.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::config {

// Insertions, deletions, replacements and swaps of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b);

// " (did you mean command?)" with a leading space, or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

} // namespace keepwell::config
