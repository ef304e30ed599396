// Small readings of /proc and cgroup files that keeper and supervisor share. No allocation, libc
// only; nothing here trusts what it reads.
#pragma once

#include "supervisor/keeper/wire.h"

#include <sys/types.h>

namespace keepwell::proc {

struct Stat {
    pid_t pid = 0, ppid = 0, session = 0;
    char state = '?';
    char name[16] = {};
    std::uint64_t start_ticks = 0;
};

// At most size - 1 bytes, NUL-terminated; gives the length, or -1 with errno.
ssize_t read_file(int dir, const char* path, char* buffer, std::size_t size);
bool read_stat(pid_t, Stat&);
// What the environment says that the process was started with. `unit` is KEEPWELL_TASK, else
// KEEPWELL_UNIT; false if there is neither. `fleet` is KEEPWELL_FLEET, empty if there is none.
struct Mark {
    char unit[wire::kMarkSize];
    char fleet[512];
};
bool read_mark(pid_t, Mark&);
// The directory of a unit's (or task's) leaf below the base: never the name of a kernel file.
void leaf_name(const char* key, std::uint64_t task_id, char (&out)[wire::kKeySize + 16]);

// Calls visit(context, pid) for every process, ascending in most kernels.
void each_process(void (*visit)(void*, pid_t), void* context);
// Calls visit for every pid in the leaf's cgroup.procs; false if that cannot be read.
bool each_in_cgroup(int dir, void (*visit)(void*, pid_t), void* context);

} // namespace keepwell::proc
