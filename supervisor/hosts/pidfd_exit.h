// How a process that is not our child ended, asked of its pidfd once its parent has reaped it.
// Linux 6.15 and later know it; elsewhere it is unknown, never invented.
#pragma once

#include "units/types.h"

namespace keepwell {

struct PidfdExit {
    ExitStatus status;
    bool later = false; // not known yet, but the kernel will tell
};
PidfdExit exit_of_pidfd(int pidfd) noexcept;

} // namespace keepwell
