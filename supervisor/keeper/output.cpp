// Where a child's output goes: a pipe that never gives SIGPIPE.
#include "supervisor/keeper/keeper.h"

#include <cstdio>
#include <fcntl.h>

namespace keepwell::keeper {

bool make_output_pipe(bool large, Fd& read_end, Fd& child_end) {
    int out[2];
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    read_end.reset(out[0]);
    const Fd write_end(out[1]);
    if (large) (void)fcntl(out[0], F_SETPIPE_SZ, 256 << 10); // the user's quota may forbid it
    // Opened read-write, and anew: the child always has a reader (no SIGPIPE) and blocks as a
    // program expects.
    char path[40];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", out[0]);
    child_end.reset(open(path, O_RDWR | O_CLOEXEC));
    return static_cast<bool>(child_end);
}

} // namespace keepwell::keeper
