// The supervisor process: composition root of engine, checks, logs, status and control around one
// loop.
#pragma once

#include "supervisor/config/config.h"

#include <string>

namespace keepwell {

struct SuperviseOptions {
    LoadOptions load;
    std::string state_dir; // where the last good configuration is; empty: as the present one says
    bool safe = false;  // earlier ones died soon: no state, no history, the last good configuration
    int keeper_fd = -1; // the keeper's SOCK_SEQPACKET end; this process is useless without it
};

// Runs until everything is stopped or the keeper is gone; gives the process's exit code.
int supervise(const SuperviseOptions&);

} // namespace keepwell
