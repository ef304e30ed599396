// Query parameters with a closed set of words.
#pragma once

#include "supervisor/api/target.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace keepwell::api {

// The word that stands there; the first of them without the parameter; nullopt for any other.
std::optional<std::string_view> one_of(const Target&, const std::string& name,
                                       std::span<const std::string_view> words);
// "cannot read severity: use info, warning, error or critical"
std::string use_one_of(std::string_view name, std::span<const std::string_view> words);

} // namespace keepwell::api
