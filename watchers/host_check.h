// The host check: disks, inodes, memory, swap, load and pressure of this host under limits.
//
// Reads /proc and asks file systems, so off the loop only. None throws for what it finds.
#pragma once

#include "watchers/check_scheduler.h"

#include <map>
#include <string>

namespace keepwell {

struct HostMemory {                            // of one check, from run to run
    std::map<std::string, Instant> over_since; // by what is over its limit
};

// What the kernel does not tell (swap without swap is 0 %, pressure without PSI) is said as a
// warning, never as a failure.
Observation look_at_host(const HostCheckSpec&, HostMemory&, Instant now,
                         const std::string& proc = "/proc");

} // namespace keepwell
