// One heartbeat check: what the time since the last beat means. Pure.
//
// Until the first beat there is nothing to say before `within` is over: a start is no beat, so it
// neither ends the grace nor makes a unit ready.
#pragma once

#include "watchers/check_scheduler.h"

namespace keepwell {

struct Beats {            // of one check in one generation
    Instant last{};       // its start, until the first beat
    bool any = false;     // since the start
    bool trouble = false; // it said that it is sick (WATCHDOG=trigger); until the next beat
};

bool heartbeat_is_silent(const HeartbeatCheckSpec&, const Beats&, Instant now);

// Fills outcome and output: "beat 3s ago", "no beat for 42s (within 30s)".
Observation evaluate_heartbeat(const HeartbeatCheckSpec&, const Beats&, Instant now);

} // namespace keepwell
