// Events from the supervisor's history: further back than its memory reaches.
#pragma once

#include "supervisor/cli/context.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace keepwell::cli {

// Oldest first, the newest `most` of them; nullopt when the supervisor has no history to read.
std::optional<std::vector<Json>> past_events(Context&, std::int64_t from_ms, std::size_t most);

} // namespace keepwell::cli
