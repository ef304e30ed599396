// The supervisor process: composition root of engine, checks, logs, status and control around one
// loop.
#pragma once

#include "supervisor/config/config.h"

namespace keepwell {

struct SuperviseOptions {
    LoadOptions load;
    int keeper_fd = -1; // the keeper's SOCK_SEQPACKET end; this process is useless without it
};

// Runs until everything is stopped or the keeper is gone; gives the process's exit code.
int supervise(const SuperviseOptions&);

} // namespace keepwell
