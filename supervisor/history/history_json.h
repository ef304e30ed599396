// The API's words for the history: docs/api.md, /api/history and /api/events. Pure.
#pragma once

#include "supervisor/history/rows.h"

#include <string>

namespace keepwell::history {

// Adds the minute that still runs to the point that it belongs to.
void add_running(Story&, const MinuteRow&);
std::string story_json(const Story&);
// `last`: of what the running supervisor numbers; more: the limit cut it short.
std::string events_json(const std::vector<EventRow>&, std::uint64_t last, bool more);

} // namespace keepwell::history
