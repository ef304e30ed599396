// A record that an earlier keeper left: is its process alive, and where is its output?
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keepwell::keeper {

namespace {

constexpr int kGatedMs = 1000;

bool is_pipe(int fd, std::uint64_t inode) {
    struct stat st {};
    return inode != 0 && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_ino == inode;
}

// The child's own end is the only name a pipe still has.
int find_pipe(pid_t pid, std::uint64_t inode) {
    for (int fd = 1; inode != 0 && fd <= 2; ++fd) {
        char path[40];
        std::snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        struct stat st {};
        if (stat(path, &st) != 0 || !S_ISFIFO(st.st_mode) || st.st_ino != inode) continue;
        return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    }
    return -1;
}

// A child whose keeper died just before its go byte reads the end of the pipe and is gone at once.
// To us that looks like one that ran for an instant: either way its end is unknown, and its exit
// code would be the gate's and not the daemon's.
bool ends_at_once(const Record& r) {
    pollfd gone{r.pidfd.get(), POLLIN, 0};
    return r.phase == Phase::Spawning && poll(&gone, 1, kGatedMs) == 1;
}

// What the keeper that we replaced in place left open.
void take_kept(const Keeper& k, Record& r) {
    Fd* const to[] = {&r.pidfd, &r.output, &r.errors, &r.notify};
    std::int32_t* kept = r.kept;
    for (Fd* const owner : to) {
        const int fd = *kept;
        *kept++ = -1;
        if (!k.in_place || fd < kFirstHanded) continue;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) owner->reset(fd);
    }
    if (r.output && !is_pipe(r.output.get(), r.output_inode)) r.output.reset();
    if (r.errors && !is_pipe(r.errors.get(), r.errors_inode)) r.errors.reset();
}

} // namespace

void adopt(Keeper& k, Record& r) {
    if (r.aside) {
        r.aside = false; // not before it is counted
        take_kept(k, r);
        return lay_aside(k, r);
    }
    if (r.pid == 0) { // an intent: its gated child read EOF instead of the go byte
        if (r.phase != Phase::Exited) free_record(k, r);
        return;
    }
    take_kept(k, r);
    r.leaf = r.leaf && static_cast<bool>(k.cgroup_base);
    adopt_limits(k, r);
    if (r.phase == Phase::Exited) {
        r.pidfd.reset();
        check_tree(k, r);
        return;
    }
    // First the handle, then the identity: the pid cannot be reused between the two.
    // A kept one is of the right process, also when that was reaped meanwhile.
    const bool kept = static_cast<bool>(r.pidfd);
    if (!kept) r.pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, r.pid, 0)));
    proc::Stat stat;
    bool alive = r.pidfd && proc::read_stat(r.pid, stat) && stat.start_ticks == r.start_ticks &&
                 stat.state != 'X';
    alive = alive && (kept || !ends_at_once(r));
    if (!alive && !kept) {
        r.pidfd.reset();
        r.phase = Phase::Exited; // its status is unknown
        r.exited_ns = now_ns();
        save(k, r);
        check_tree(k, r);
        return;
    }
    r.ours = alive && stat.ppid == getpid();
    r.leaf = r.leaf && (in_leaf(k, r, r.pid) || !alive || stat.state == 'Z');
    r.phase = Phase::Running;
    if (!r.output) r.output.reset(find_pipe(r.pid, r.output_inode));
    if (!r.errors) r.errors.reset(find_pipe(r.pid, r.errors_inode));
    if (r.has_notify && !r.notify && !make_notify_socket(k, r))
        say("cannot make the notify socket of %s again: %s", r.key.text(), std::strerror(errno));
    save(k, r);
    watch(k, r.pidfd.get(), EPOLLIN, Source::RecordExit, r.index, r.serial);
}

} // namespace keepwell::keeper
