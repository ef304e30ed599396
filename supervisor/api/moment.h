// A point in time as a request names it: "2026-01-31T12:00:00Z" (also with milliseconds or without
// seconds), unix seconds, or how long ago: "2h", "90m", "7d". Pure; nullopt for anything else.
#pragma once

#include "units/time.h"

#include <optional>
#include <string_view>

namespace keepwell::api {

std::optional<WallTime> parse_moment(std::string_view, WallTime now);

} // namespace keepwell::api
