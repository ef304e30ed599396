#include "supervisor/keeper/child.h"

#include "supervisor/keeper/keeper.h"
#include "supervisor/keeper/raw.h"

#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

namespace keepwell::keeper {

namespace {

using raw::call;
using raw::pointer;

[[noreturn]] void leave() {
    for (;;) call(SYS_exit_group, 127);
}

[[noreturn]] void fail(const Plan& p, wire::Stage stage, long error) {
    const StageNote note{stage, static_cast<std::int32_t>(error)};
    call(SYS_write, p.stage, pointer(&note), sizeof note);
    leave();
}

void must(const Plan& p, wire::Stage stage, long result) {
    if (result < 0) fail(p, stage, -result);
}

// Leaves 0..2, /dev/null and the child's own pipe ends; everything else is closed before anything
// else happens, so that no child holds the lock or the control socket.
void close_others(const Plan& p) {
    constexpr int kCount = 5;
    int keep[kCount] = {kNullFd, p.go, p.stage, p.output, p.errors >= 0 ? p.errors : p.output};
    for (int i = 0; i < kCount; ++i)
        for (int j = i + 1; j < kCount; ++j)
            if (keep[j] < keep[i]) {
                const int t = keep[i];
                keep[i] = keep[j];
                keep[j] = t;
            }
    // Until the table is our own it may be the keeper's: touch nothing.
    if (p.can->close_range) {
        const long flags = p.shared ? CLOSE_RANGE_UNSHARE : 0;
        if (call(SYS_close_range, keep[kCount - 1] + 1, ~0U, flags) != 0) leave();
    } else {
        if (p.shared && call(SYS_unshare, CLONE_FILES) != 0) leave();
        close_from(*p.can, keep[kCount - 1] + 1); // on a copy of the memory: see spawn.cpp
    }
    for (int i = 0; i + 1 < kCount; ++i)
        for (int fd = keep[i] + 1; fd < keep[i + 1]; ++fd) call(SYS_close, fd);
}

void apply_limits(const Plan& p) {
    static const int resource[] = {RLIMIT_NOFILE, RLIMIT_CORE,  RLIMIT_NPROC,  RLIMIT_STACK,
                                   RLIMIT_AS,     RLIMIT_FSIZE, RLIMIT_MEMLOCK};
    static_assert(sizeof(rlimit) == 16); // the kernel's own
    if ((p.body->limit_mask & 1U) == 0)
        must(p, wire::Stage::Rlimit, call(SYS_prlimit64, 0, RLIMIT_NOFILE, pointer(&p.nofile), 0));
    for (unsigned i = 0; i < wire::LimitCount; ++i) {
        if ((p.body->limit_mask >> i & 1U) == 0) continue;
        rlimit limit{};
        must(p, wire::Stage::Rlimit, call(SYS_prlimit64, 0, resource[i], 0, pointer(&limit)));
        limit.rlim_cur = p.body->limits[i];
        // The hard limit goes down with the soft one only where it must not be raised again.
        if (limit.rlim_cur > limit.rlim_max || i == wire::Core) limit.rlim_max = limit.rlim_cur;
        must(p, wire::Stage::Rlimit, call(SYS_prlimit64, 0, resource[i], pointer(&limit), 0));
    }
}

void drop_privileges(const Plan& p) {
    const wire::Body& b = *p.body;
    if (b.has_user == 0) return;
    const auto euid = static_cast<uid_t>(call(SYS_geteuid));
    if (euid != 0 && euid == b.uid && static_cast<gid_t>(call(SYS_getegid)) == b.gid)
        return; // nothing to drop, and setgroups would be refused
    must(p, wire::Stage::Groups,
         call(SYS_setgroups, static_cast<long>(b.groups), pointer(p.groups)));
    must(p, wire::Stage::Gid, call(SYS_setresgid, b.gid, b.gid, b.gid));
    must(p, wire::Stage::Uid, call(SYS_setresuid, b.uid, b.uid, b.uid));
    uid_t u[3] = {};
    gid_t g[3] = {};
    if (call(SYS_getgroups, 0, 0) != static_cast<long>(b.groups))
        fail(p, wire::Stage::Groups, EPERM);
    if (call(SYS_getresgid, pointer(&g[0]), pointer(&g[1]), pointer(&g[2])) != 0 || g[0] != b.gid ||
        g[1] != b.gid || g[2] != b.gid)
        fail(p, wire::Stage::Gid, EPERM);
    if (call(SYS_getresuid, pointer(&u[0]), pointer(&u[1]), pointer(&u[2])) != 0 || u[0] != b.uid ||
        u[1] != b.uid || u[2] != b.uid)
        fail(p, wire::Stage::Uid, EPERM);
}

long exec(const Plan& p, const char* path) { // returns only an error
    return -call(SYS_execve, pointer(path), pointer(p.argv), pointer(p.envp));
}

// One entry of PATH and the name; false where they are too long together.
bool join(char* to, std::size_t size, const char* folder, std::size_t length, const char* name) {
    const std::size_t rest = std::strlen(name);
    if (length == 0) {
        folder = ".";
        length = 1;
    }
    if (length + 1 + rest + 1 > size) return false;
    std::memcpy(to, folder, length);
    to[length] = '/';
    std::memcpy(to + length + 1, name, rest + 1);
    return true;
}

long exec_in_path(const Plan& p) {
    const char* name = p.argv[0];
    if (std::strchr(name, '/') != nullptr) return exec(p, name);
    const char* path = "/usr/local/bin:/usr/bin:/bin";
    for (char** e = p.envp; *e != nullptr; ++e)
        if (std::strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
    long error = ENOENT;
    char full[4096];
    for (const char* at = path;; ++at) {
        const std::size_t length = std::strcspn(at, ":");
        if (join(full, sizeof full, at, length, name)) {
            const long failed = exec(p, full);
            if (failed == EACCES)
                error = EACCES; // found but not for us: say so unless a later one runs
            else if (failed != ENOENT && failed != ENOTDIR)
                return failed;
        }
        at += length;
        if (*at == '\0') return error;
    }
}

// Before the privileges are dropped, and in the child, since a slow disk must not hold up the
// keeper. The file is its user's, so that it may open /dev/stdout; the folder is not, so it cannot
// be replaced.
int open_log_file(const Plan& p, char* path) {
    constexpr int kFlags =
        O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const auto open_it = [path] { return call(SYS_openat, AT_FDCWD, pointer(path), kFlags, 0640); };
    long fd = open_it();
    char* const slash = std::strrchr(path, '/');
    if (fd == -ENOENT && slash != nullptr) {
        *slash = '\0';
        call(SYS_mkdirat, AT_FDCWD, pointer(path), 0750);
        *slash = '/';
        fd = open_it();
    }
    must(p, wire::Stage::Prepare, fd);
    struct stat st {};
    must(p, wire::Stage::Prepare, call(SYS_fstat, fd, pointer(&st)));
    if (!S_ISREG(st.st_mode)) fail(p, wire::Stage::Prepare, EINVAL);
    const wire::Body& b = *p.body;
    if (b.has_user != 0 && st.st_uid != b.uid) {
        const long given = call(SYS_fchown, fd, b.uid, b.gid);
        if (given != -EPERM) must(p, wire::Stage::Prepare, given);
    }
    must(p, wire::Stage::Prepare, call(SYS_fcntl, fd, F_SETFL, O_APPEND));
    return static_cast<int>(fd);
}

void set_streams(const Plan& p) {
    const bool file = p.output_path != nullptr;
    const bool apart = p.body->separate_errors != 0;
    const int output = file ? open_log_file(p, p.output_path) : p.output;
    const int errors = !apart ? output : file ? open_log_file(p, p.errors_path) : p.errors;
    must(p, wire::Stage::Prepare, call(SYS_dup3, kNullFd, 0, 0));
    must(p, wire::Stage::Prepare, call(SYS_dup3, output, 1, 0));
    must(p, wire::Stage::Prepare, call(SYS_dup3, errors < 0 ? output : errors, 2, 0));
}

void set_oom_score(const Plan& p) {
    if (p.body->oom_score_adj == p.oom) return;
    char text[16]; // on a copy of the memory: see spawn.cpp
    const int length = std::snprintf(text, sizeof text, "%d", p.body->oom_score_adj);
    const long fd =
        call(SYS_openat, AT_FDCWD, pointer("/proc/self/oom_score_adj"), O_WRONLY | O_CLOEXEC, 0);
    const long written = fd < 0 ? fd : call(SYS_write, fd, pointer(text), length);
    if (written != length && p.body->oom_score_adj != 0)
        fail(p, wire::Stage::Prepare, written < 0 ? -written : EIO);
    if (fd >= 0) call(SYS_close, fd);
}

} // namespace

void reset_signals() {
    // glibc refuses the two signals it uses itself, the kernel does not.
    const unsigned long action[4] = {};
    for (int s = 1; s <= 64; ++s) call(SYS_rt_sigaction, s, pointer(action), 0, 8);
    const unsigned long none = 0;
    call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, pointer(&none), 0, 8);
}

void run_child(const Plan& p) {
    close_others(p);
    const StageNote unshared{wire::Stage::None, 0};
    call(SYS_write, p.stage, pointer(&unshared), sizeof unshared);
    char go = 0;
    long n = 0;
    do n = call(SYS_read, p.go, pointer(&go), 1);
    while (n == -EINTR);
    if (n != 1) leave(); // the keeper died before it recorded us: nobody knows this process
    call(SYS_setsid);
    reset_signals();
    set_streams(p);
    call(SYS_umask, static_cast<long>(p.body->umask & 07777U));
    // Going back to the default 0 may be refused where the keeper itself was started nicer.
    if (p.body->nice != p.nice) {
        const long set = call(SYS_setpriority, PRIO_PROCESS, 0, p.body->nice);
        if (p.body->nice != 0) must(p, wire::Stage::Prepare, set);
    }
    set_oom_score(p);
    apply_limits(p);
    drop_privileges(p);
    if (p.task) {
        call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL); // after the drop, which clears it
        if (call(SYS_getppid) != p.keeper) leave();
    }
    must(p, wire::Stage::Directory, call(SYS_chdir, pointer(p.directory)));
    fail(p, wire::Stage::Exec, exec_in_path(p));
}

} // namespace keepwell::keeper
