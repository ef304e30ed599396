// The units' sd_notify sockets: made, named and handed over, never read. Messages wait in them
// while no supervisor lives. And what a unit says of its main process, which is proved here.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

namespace keepwell::keeper {

namespace {

constexpr char kFolder[] = "notify";
constexpr int kPassPidfd = 76; // SO_PASSPIDFD of Linux 6.5, which older headers lack

int open_folder(const Keeper& k) {
    return openat(k.runtime.get(), kFolder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// errno of a refusal, 0 = it may be the main process. What is read by pid belongs to the pidfd's
// process, since that still lives afterwards.
int prove_main(Keeper& k, const Record& r, const wire::MainPidMessage& m, Fd& pidfd) {
    const auto pid = static_cast<pid_t>(m.pid);
    // After the end of a command that put a daemon into the background, the daemon takes its place.
    const bool after_it = r.phase == Phase::Exited && !r.tree_gone;
    if (!after_it && (r.phase != Phase::Running || !r.pidfd)) return ESRCH;
    if (m.pid <= 1 || m.pid != pid || pid == getpid() || pid == k.supervisor.pid) return EPERM;
    pidfd.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    proc::Stat stat;
    if (!pidfd || !proc::read_stat(pid, stat) || stat.start_ticks != m.start_ticks) return ESRCH;
    if (stat.state == 'Z' || stat.state == 'X') return ESRCH;
    if (stat.session == getsid(0) || !in_tree(k, r, pid)) return EPERM;
    return syscall(SYS_pidfd_send_signal, pidfd.get(), 0, nullptr, 0) == 0 ? 0 : ESRCH;
}

} // namespace

void notify_variable(const Keeper& k, const Record& r, char* out, std::size_t size) {
    std::snprintf(out, size, "NOTIFY_SOCKET=%s/%s/%s", k.runtime_dir, kFolder, r.key.text());
}

bool make_notify_socket(Keeper& k, Record& r) {
    if (std::strlen(k.runtime_dir) + sizeof kFolder + 1 + std::strlen(r.key.text()) >=
        sizeof sockaddr_un{}.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (mkdirat(k.runtime.get(), kFolder, 0711) == 0)
        fchmodat(k.runtime.get(), kFolder, 0711, 0); // whatever our umask
    const Fd folder(open_folder(k));
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!folder || !socket) return false;
    const int on = 1;
    if (setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) return false;
    if (k.can.scm_pidfd) setsockopt(socket.get(), SOL_SOCKET, kPassPidfd, &on, sizeof on);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder.get(),
                  r.key.text());
    unlinkat(folder.get(), r.key.text(), 0);
    const mode_t mask = umask(0177); // its user's and root's
    const int bound = bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    const int error = errno;
    umask(mask);
    errno = error;
    if (bound != 0) return false;
    if (r.uid != geteuid() && fchownat(folder.get(), r.key.text(), r.uid, static_cast<gid_t>(-1),
                                       AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    r.notify = static_cast<Fd&&>(socket);
    return true;
}

void remove_notify_socket(const Keeper& k, Record& r) {
    if (!r.has_notify) return;
    r.notify.reset();
    const Fd folder(open_folder(k));
    if (folder) unlinkat(folder.get(), r.key.text(), 0);
}

void change_main(Keeper& k, Record& r, const wire::MainPidMessage& m) {
    Fd pidfd;
    const bool it_is = m.pid == r.pid && r.phase == Phase::Running;
    r.main_refused = it_is ? 0 : prove_main(k, r, m, pidfd);
    if (r.main_refused == 0 && !it_is) {
        unwatch(k, r.pidfd);
        r.phase = Phase::Running;
        r.exit_known = r.exit_acked = false;
        r.exited_ns = 0;
        if (r.tell == kTellExited) untell(k, r);
        r.tell &= ~kTellExited;
        r.pidfd = static_cast<Fd&&>(pidfd);
        set_pid(k, r, static_cast<pid_t>(m.pid));
        r.session = getsid(r.pid);
        r.start_ticks = m.start_ticks;
        r.ours = false; // perhaps: waiting for it will tell
        save(k, r);
        watch(k, r.pidfd.get(), EPOLLIN, Source::RecordExit, r.index, r.serial);
    }
    tell(k, r, kTellMain);
}

} // namespace keepwell::keeper
