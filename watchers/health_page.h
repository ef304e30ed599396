// Takes from a health page what the service says of itself: status, project, version, uptime,
// workflows of a JSON object.
//
// The text is foreign: whatever it holds (not JSON, invalid UTF-8, absurd nesting), nothing throws.
#pragma once

#include "units/snapshot.h"

#include <string_view>

namespace keepwell {

inline constexpr std::size_t kLongestReport = 2048; // bytes of Reported::json

// Texts are cleaned and cut to 200 bytes, lists to 32 entries; values of other kinds are left out.
// Empty for a body that is no JSON object or says none of this.
Reported reported_of(std::string_view body) noexcept;

} // namespace keepwell
