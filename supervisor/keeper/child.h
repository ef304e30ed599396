// The child's part of a spawn: from the clone to the exec. It calls only the kernel and writes
// nothing but its own stack, since it may run on the keeper's memory; so a plan must stay until the
// child is gone or has its exec behind it (its stage pipe says EOF).
#pragma once

#include "supervisor/keeper/wire.h"

#include <sys/resource.h>
#include <sys/types.h>

namespace keepwell::keeper {

struct Capabilities;

struct StageNote { // on the stage pipe: None = "I have my own descriptor table", else a failure
    wire::Stage stage;
    std::int32_t error;
};

struct Plan {
    const Capabilities* can = nullptr;
    const wire::Body* body = nullptr;
    const std::uint32_t* groups = nullptr;
    const char* mark = nullptr;
    const char* directory = nullptr;
    char** argv = nullptr;
    char** envp = nullptr;
    char *output_path = nullptr, *errors_path = nullptr;
    int go = -1, stage = -1, output = -1, errors = -1; // errors: -1 = goes where output goes
    bool shared = false;                               // the descriptor table is still the keeper's
    bool task = false;
    pid_t keeper = 0;
    rlimit nofile{};
    int nice = 0, oom = 0;
};

[[noreturn]] void run_child(const Plan&);
void reset_signals();

} // namespace keepwell::keeper
