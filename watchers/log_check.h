// The log check: what new lines of a unit's log mean. The reading is behind the LogScan port.
#pragma once

#include "units/ports/log_scan.h"
#include "watchers/check_scheduler.h"

#include <memory>

namespace keepwell {

struct LogMemory { // of one check in one generation, from run to run
    std::shared_ptr<LogScan> scan;
    Instant good_at{};   // of the last good line, at first of the start
    Instant looked_at{}; // the run before
};

// Reads files, so off the loop only. `wall` is the time of `now`.
Observation look_at_log(const LogCheckSpec&, LogMemory&, Instant now, WallTime wall);

} // namespace keepwell
