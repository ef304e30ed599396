// Checks that look at this host's own processes, ports and files: process, port, file, resource.
//
// Each function reads /proc or the file system and may block: off the loop only. None throws for
// what it finds; the result has outcome and output, the scheduler fills in the rest.
#pragma once

#include "units/time.h"
#include "units/unit_spec.h"
#include "watchers/check_scheduler.h"
#include "watchers/process_table.h"
#include "watchers/tree_sample.h"

#include <array>
#include <optional>

namespace keepwell {

Observation look_at_processes(const ProcessCheckSpec&, const ProcessTable::Entries&);

Observation look_at_port(const PortCheckSpec&, const TreeRef&, const std::string& proc = "/proc");

Observation look_at_file(const FileCheckSpec&, WallTime now);

struct ResourceMemory { // of one check, from run to run
    std::optional<TreeSample> before;
    std::array<std::optional<Instant>, 5> over_since; // cpu, memory, fds, threads, children
};
Observation look_at_resources(const ResourceCheckSpec&, const TreeRef&, ResourceMemory&,
                              Instant now, const std::string& proc = "/proc");

} // namespace keepwell
