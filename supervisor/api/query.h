// Query parameters: numbers and closed sets of words; and what If-None-Match says.
#pragma once

#include "supervisor/api/target.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace keepwell::api {

// The number that stands there; `absent` without the parameter; nullopt when it is none.
std::optional<std::uint64_t> number_of(const Target&, const std::string& name,
                                       std::uint64_t absent);

// The word that stands there; the first of them without the parameter; nullopt for any other.
std::optional<std::string_view> one_of(const Target&, const std::string& name,
                                       std::span<const std::string_view> words);
// "cannot read severity: use info, warning, error or critical"
std::string use_one_of(std::string_view name, std::span<const std::string_view> words);

// Does the header name the tag, or any?
bool etag_matches(std::string_view if_none_match, std::string_view etag);

} // namespace keepwell::api
