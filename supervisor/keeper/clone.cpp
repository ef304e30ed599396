// Making a process with its handle, by the newest call that this kernel has.
#include "supervisor/keeper/keeper.h"
#include "supervisor/keeper/raw.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace keepwell::keeper {

void close_from(const Capabilities& can, int first) {
    if (can.close_range && close_range(static_cast<unsigned>(first), ~0U, 0) == 0) return;
    DIR* dir = opendir("/proc/self/fd");
    if (dir == nullptr) return;
    while (const dirent* entry = readdir(dir)) {
        const long fd = std::strtol(entry->d_name, nullptr, 10);
        if (fd >= first && fd != dirfd(dir)) close(static_cast<int>(fd));
    }
    closedir(dir);
}

namespace {

// A child whose handle cannot be had reads EOF instead of the go byte, or is killed.
pid_t with_pidfd(pid_t pid, int& pidfd) {
    if (pid <= 0 || pidfd >= 0) return pid;
    pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (pidfd >= 0) return pid;
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    errno = error;
    return -1;
}

} // namespace

// In the child it returns 0, as fork does; with `start` it does not return there.
pid_t clone_child(const Keeper& k, int cgroup, bool share_files, const ChildStart* start,
                  int& pidfd) {
    const std::uint64_t flags =
        (k.can.clone_pidfd ? CLONE_PIDFD : 0) | (share_files ? CLONE_FILES : 0);
    const bool into = cgroup >= 0 && k.can.into_cgroup;
    pidfd = -1;
    if (k.can.clone3) {
        clone_args args{};
        args.flags = flags | (into ? CLONE_INTO_CGROUP : 0);
        args.pidfd = k.can.clone_pidfd ? reinterpret_cast<std::uintptr_t>(&pidfd) : 0;
        args.exit_signal = SIGCHLD;
        args.cgroup = into ? static_cast<std::uint64_t>(cgroup) : 0;
        if (start != nullptr) {
            args.flags |= CLONE_VM;
            args.stack = reinterpret_cast<std::uintptr_t>(start->stack);
            args.stack_size = start->size;
            const long pid = raw::start_on(args, start->run, start->argument);
            if (pid < 0) errno = static_cast<int>(-pid);
            return with_pidfd(pid < 0 ? -1 : static_cast<pid_t>(pid), pidfd);
        }
        return with_pidfd(static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args)), pidfd);
    }
    return with_pidfd(
        static_cast<pid_t>(syscall(SYS_clone, flags | SIGCHLD, nullptr, &pidfd, nullptr, nullptr)),
        pidfd);
}

} // namespace keepwell::keeper
