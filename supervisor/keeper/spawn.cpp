// Making children: intent, clone, record, go byte. The child's part runs on a copy of the keeper's
// memory and calls only the kernel.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

namespace keepwell::keeper {

namespace {

struct StageNote { // on the stage pipe: None = "I have my own descriptor table", else a failure
    wire::Stage stage;
    std::int32_t error;
};

struct Plan {
    const wire::Body* body = nullptr;
    const std::uint32_t* groups = nullptr;
    const char* mark = nullptr;
    const char* fleet = nullptr; // KEEPWELL_FLEET=…
    const char* directory = nullptr;
    char** argv = nullptr;
    char** envp = nullptr;
    char *output_path = nullptr, *errors_path = nullptr;
    int go = -1, stage = -1, output = -1, errors = -1; // errors: -1 = goes where output goes
    bool shared = false, task = false;
    pid_t keeper = 0;
    rlimit nofile{};
    int nice = 0, oom = 0;
};

[[noreturn]] void fail(const Plan& p, wire::Stage stage, int error) {
    const StageNote note{stage, error};
    (void)!write(p.stage, &note, sizeof note);
    _exit(127);
}

// Leaves 0..2, /dev/null and the child's own pipe ends; everything else is closed before anything
// else happens, so that no child holds the lock or the control socket.
void close_others(const Keeper& k, const Plan& p) {
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
    if (k.can.close_range) {
        const unsigned flags = p.shared ? CLOSE_RANGE_UNSHARE : 0;
        if (close_range(static_cast<unsigned>(keep[kCount - 1]) + 1, ~0U,
                        static_cast<int>(flags)) != 0)
            _exit(127);
    } else {
        if (p.shared && unshare(CLONE_FILES) != 0) _exit(127);
        close_from(k, keep[kCount - 1] + 1);
    }
    for (int i = 0; i + 1 < kCount; ++i)
        for (int fd = keep[i] + 1; fd < keep[i + 1]; ++fd) close(fd);
}

void reset_signals() {
    // glibc refuses the two signals it uses itself, the kernel does not.
    const unsigned long action[4] = {};
    for (int s = 1; s <= 64; ++s) syscall(SYS_rt_sigaction, s, action, nullptr, 8);
    const unsigned long none = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, 8);
}

void apply_limits(const Plan& p) {
    static const int resource[] = {RLIMIT_NOFILE, RLIMIT_CORE,  RLIMIT_NPROC,  RLIMIT_STACK,
                                   RLIMIT_AS,     RLIMIT_FSIZE, RLIMIT_MEMLOCK};
    if ((p.body->limit_mask & 1U) == 0 && setrlimit(RLIMIT_NOFILE, &p.nofile) != 0)
        fail(p, wire::Stage::Rlimit, errno);
    for (unsigned i = 0; i < wire::LimitCount; ++i) {
        if ((p.body->limit_mask >> i & 1U) == 0) continue;
        rlimit limit{};
        if (getrlimit(static_cast<__rlimit_resource_t>(resource[i]), &limit) != 0)
            fail(p, wire::Stage::Rlimit, errno);
        limit.rlim_cur = p.body->limits[i];
        // The hard limit goes down with the soft one only where it must not be raised again.
        if (limit.rlim_cur > limit.rlim_max || i == wire::Core) limit.rlim_max = limit.rlim_cur;
        if (setrlimit(static_cast<__rlimit_resource_t>(resource[i]), &limit) != 0)
            fail(p, wire::Stage::Rlimit, errno);
    }
}

void drop_privileges(const Plan& p) {
    const wire::Body& b = *p.body;
    if (b.has_user == 0) return;
    const bool mine = geteuid() != 0 && geteuid() == b.uid && getegid() == b.gid;
    if (mine) return; // nothing to drop, and setgroups would be refused
    if (syscall(SYS_setgroups, static_cast<long>(b.groups), p.groups) != 0)
        fail(p, wire::Stage::Groups, errno);
    if (syscall(SYS_setresgid, b.gid, b.gid, b.gid) != 0) fail(p, wire::Stage::Gid, errno);
    if (syscall(SYS_setresuid, b.uid, b.uid, b.uid) != 0) fail(p, wire::Stage::Uid, errno);
    uid_t u[3] = {};
    gid_t g[3] = {};
    if (syscall(SYS_getgroups, 0, nullptr) != static_cast<long>(b.groups))
        fail(p, wire::Stage::Groups, EPERM);
    if (syscall(SYS_getresgid, &g[0], &g[1], &g[2]) != 0 || g[0] != b.gid || g[1] != b.gid ||
        g[2] != b.gid)
        fail(p, wire::Stage::Gid, EPERM);
    if (syscall(SYS_getresuid, &u[0], &u[1], &u[2]) != 0 || u[0] != b.uid || u[1] != b.uid ||
        u[2] != b.uid)
        fail(p, wire::Stage::Uid, EPERM);
}

int exec_in_path(const Plan& p) {
    const char* name = p.argv[0];
    if (std::strchr(name, '/') != nullptr) {
        execve(name, p.argv, p.envp);
        return errno;
    }
    const char* path = "/usr/local/bin:/usr/bin:/bin";
    for (char** e = p.envp; *e != nullptr; ++e)
        if (std::strncmp(*e, "PATH=", 5) == 0) path = *e + 5;
    int error = ENOENT;
    char full[4096];
    for (const char* at = path;; ++at) {
        const std::size_t length = std::strcspn(at, ":");
        const int n = length == 0 ? std::snprintf(full, sizeof full, "./%s", name)
                                  : std::snprintf(full, sizeof full, "%.*s/%s",
                                                  static_cast<int>(length), at, name);
        if (n > 0 && static_cast<std::size_t>(n) < sizeof full) {
            execve(full, p.argv, p.envp);
            if (errno == EACCES)
                error = EACCES; // found but not for us: say so unless a later one runs
            else if (errno != ENOENT && errno != ENOTDIR)
                return errno;
        }
        at += length;
        if (*at == '\0') return error;
    }
}

void set_streams(const Plan& p) {
    const auto open_path = [&p](char* path) {
        const int fd = open_log_file(*p.body, path);
        if (fd < 0) fail(p, wire::Stage::Prepare, -fd);
        return fd;
    };
    const bool file = p.output_path != nullptr;
    const bool apart = p.body->separate_errors != 0;
    const int output = file ? open_path(p.output_path) : p.output;
    const int errors = !apart ? output : file ? open_path(p.errors_path) : p.errors;
    if (dup2(kNullFd, 0) < 0 || dup2(output, 1) < 0 || dup2(errors < 0 ? output : errors, 2) < 0)
        fail(p, wire::Stage::Prepare, errno);
}

[[noreturn]] void child(const Keeper& k, const Plan& p) {
    close_others(k, p);
    const StageNote unshared{wire::Stage::None, 0};
    (void)!write(p.stage, &unshared, sizeof unshared);
    char go = 0;
    ssize_t n = 0;
    while ((n = read(p.go, &go, 1)) < 0 && errno == EINTR) {
    }
    if (n != 1) _exit(127); // the keeper died before it recorded us: nobody knows this process
    setsid();
    reset_signals();
    set_streams(p);
    umask(static_cast<mode_t>(p.body->umask & 07777U));
    // Going back to the default 0 may be refused where the keeper itself was started nicer.
    if (p.body->nice != p.nice && setpriority(PRIO_PROCESS, 0, p.body->nice) != 0 &&
        p.body->nice != 0)
        fail(p, wire::Stage::Prepare, errno);
    if (p.body->oom_score_adj != p.oom) {
        char text[16];
        const int length = std::snprintf(text, sizeof text, "%d", p.body->oom_score_adj);
        const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        const bool ok = fd >= 0 && write(fd, text, static_cast<std::size_t>(length)) == length;
        if (!ok && p.body->oom_score_adj != 0) fail(p, wire::Stage::Prepare, errno);
        close(fd);
    }
    apply_limits(p);
    drop_privileges(p);
    if (p.task) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // after the drop, which clears it
        if (getppid() != p.keeper) _exit(127);
    }
    if (chdir(p.directory) != 0) fail(p, wire::Stage::Directory, errno);
    fail(p, wire::Stage::Exec, exec_in_path(p));
}

bool make_ends(Ends& e, bool output, bool large) {
    int go[2], stage[2];
    if (pipe2(go, O_CLOEXEC) != 0) return false;
    e.go_read.reset(go[0]);
    e.go_write.reset(go[1]);
    if (pipe2(stage, O_CLOEXEC) != 0) return false;
    e.stage_read.reset(stage[0]);
    e.stage_write.reset(stage[1]);
    if (fcntl(stage[0], F_SETFL, O_NONBLOCK) != 0) return false;
    return !output || make_output_pipe(large, e.output_read, e.output_child);
}

std::uint64_t inode_of(const Fd& pipe) {
    struct stat st {};
    return pipe && fstat(pipe.get(), &st) == 0 ? st.st_ino : 0;
}

bool take_ends(Keeper& k, Record& r, Ends& e, const wire::Body& body) {
    const bool task = r.task;
    const bool output = body.output == wire::OutputMode::Pipe;
    if (!task && output && k.spare.output_child)
        e = static_cast<Ends&&>(k.spare);
    else if (!make_ends(e, output, !task))
        return false;
    const bool apart = output && body.separate_errors != 0;
    if (apart && !make_output_pipe(!task, e.errors_read, e.errors_child)) return false;
    // Owned by the child's user, so that it may open /dev/stdout.
    const auto give = [&body](const Fd& pipe) {
        return !pipe || body.has_user == 0 || fchown(pipe.get(), body.uid, body.gid) == 0 ||
               errno == EPERM;
    };
    r.output_inode = inode_of(e.output_read);
    r.errors_inode = inode_of(e.errors_read);
    return give(e.output_read) && give(e.errors_read);
}

// Moves the child's ends to low numbers, so that unsharing the table copies only those.
bool take_lane(Keeper& k, Record& r, Ends& e, Plan& p) {
    p.go = e.go_read.get();
    p.stage = e.stage_write.get();
    p.output = e.output_child ? e.output_child.get() : kNullFd;
    p.errors = e.errors_child.get();
    for (std::uint32_t i = 0; i < kLanes; ++i) {
        if (k.lanes[i]) continue;
        const int base = kFirstLane + static_cast<int>(i) * kLaneSize;
        if (dup3(p.go, base, O_CLOEXEC) < 0 || dup3(p.stage, base + 1, O_CLOEXEC) < 0 ||
            dup3(p.output, base + 2, O_CLOEXEC) < 0 ||
            (p.errors >= 0 && dup3(p.errors, base + 3, O_CLOEXEC) < 0))
            return false;
        k.lanes[i] = true;
        r.lane = i;
        p.go = base;
        p.stage = base + 1;
        p.output = base + 2;
        if (p.errors >= 0) p.errors = base + 3;
        p.shared = true;
        e.go_read.reset();
        e.stage_write.reset();
        e.output_child.reset();
        e.errors_child.reset();
        return true;
    }
    return true; // every lane waits for a child that does not run: copy the whole table
}

// `extra` joins the environment; empty = nothing.
void read_strings(Plan& p, char** vector, const unsigned char* body, char* extra) {
    p.body = reinterpret_cast<const wire::Body*>(body);
    p.groups = reinterpret_cast<const std::uint32_t*>(body + sizeof(wire::Body));
    char* at = const_cast<char*>(reinterpret_cast<const char*>(p.groups + p.body->groups));
    const auto next = [&at] {
        char* s = at;
        at += std::strlen(at) + 1;
        return s;
    };
    p.mark = next();
    p.directory = next();
    if (p.body->output == wire::OutputMode::File) {
        p.output_path = next();
        p.errors_path = next();
    }
    p.argv = vector;
    for (std::uint32_t i = 0; i < p.body->argc; ++i) *vector++ = next();
    *vector++ = nullptr;
    p.envp = vector;
    for (std::uint32_t i = 0; i < p.body->envc; ++i) *vector++ = next();
    if (p.fleet != nullptr) *vector++ = const_cast<char*>(p.fleet);
    if (*extra != '\0') *vector++ = extra;
    *vector = nullptr;
}

void failed(Keeper& k, Record& r, wire::Stage stage, int error) {
    r.stage = stage;
    r.error = error;
    r.phase = Phase::Failed;
    r.tree_gone = true;
    r.output.reset();
    r.errors.reset();
    release_lane(k, r);
    forget(k, r);
    tell(k, r, kTellFailed);
}

// The leaf's descriptor is the caller's: in the child nothing may be destroyed on the way to
// child(), since until it has unshared the table every close would be one in the keeper.
pid_t clone_into(Keeper& k, Record& r, Fd& leaf, bool shared, int& pidfd) {
    leaf.reset(make_leaf(k, r));
    r.leaf = static_cast<bool>(leaf);
    pid_t pid = clone_child(k, leaf.get(), shared, pidfd);
    if (pid < 0 && r.leaf && errno != EAGAIN && errno != ENOMEM) {
        // Somebody removed or refuses the directory: once more, then without.
        leaf.reset(make_leaf(k, r));
        r.leaf = static_cast<bool>(leaf);
        pid = clone_child(k, leaf.get(), shared, pidfd);
        if (pid < 0 && r.leaf && errno != EAGAIN && errno != ENOMEM) {
            remove_leaf(k, r);
            r.leaf = false;
            pid = clone_child(k, -1, shared, pidfd);
        }
    }
    if (pid > 0 && r.leaf && !k.can.into_cgroup) { // joined before the go byte
        char text[16];
        const int length = std::snprintf(text, sizeof text, "%d", pid);
        const Fd procs(openat(leaf.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
        if (!procs || write(procs.get(), text, static_cast<std::size_t>(length)) != length) {
            remove_leaf(k, r);
            r.leaf = false;
        }
    }
    return pid;
}

} // namespace

void release_lane(Keeper& k, Record& r) {
    if (r.lane == kNoLane) return;
    const int base = kFirstLane + static_cast<int>(r.lane) * kLaneSize;
    for (int i = 0; i < kLaneSize; ++i) dup3(kNullFd, base + i, O_CLOEXEC);
    k.lanes[r.lane] = false;
    r.lane = kNoLane;
}

void spawn(Keeper& k, Record& r, const unsigned char* body, const wire::SpawnMessage& m) {
    Plan p;
    wire::Body head;
    std::memcpy(&head, body, sizeof head);
    auto* vector =
        static_cast<char**>(std::calloc(std::size_t{head.argc} + head.envc + 4, sizeof(char*)));
    if (vector == nullptr) return failed(k, r, wire::Stage::Prepare, ENOMEM);
    char fleet[sizeof k.fleet + 16];
    std::snprintf(fleet, sizeof fleet, "KEEPWELL_FLEET=%s", k.fleet);
    if (k.fleet[0] != '\0') p.fleet = fleet;
    r.has_notify = head.notify != 0 && !r.task;
    char notify[sizeof(sockaddr_un) + 16] = {};
    if (r.has_notify) notify_variable(k, r, notify, sizeof notify);
    read_strings(p, vector, body, notify);
    std::snprintf(r.mark, sizeof r.mark, "%s", p.mark);
    r.uid = head.has_user != 0 ? head.uid : getuid();
    r.kill_at_ns = m.kill_at_ns;
    p.task = r.task;
    p.keeper = getpid();
    p.nofile = k.original_nofile;
    p.nice = k.original_nice;
    p.oom = k.original_oom;
    Ends e;
    Fd leaf;
    int pidfd = -1;
    wire::Stage stage = wire::Stage::Prepare;
    pid_t pid = -1;
    if (take_ends(k, r, e, head) && (!r.has_notify || make_notify_socket(k, r)) &&
        take_lane(k, r, e, p)) {
        stage = wire::Stage::Keeper;
        r.phase = Phase::Intent;
        if (save(k, r)) {
            stage = wire::Stage::Fork;
            pid = clone_into(k, r, leaf, p.shared, pidfd);
            if (pid == 0) child(k, p);
        }
    }
    const int error = errno;
    std::free(vector);
    if (pid < 0) return failed(k, r, stage, error);
    if (!p.shared) {
        e.go_read.reset();
        e.stage_write.reset();
        e.output_child.reset();
        e.errors_child.reset();
    }
    proc::Stat stat;
    proc::read_stat(pid, stat);
    set_pid(k, r, pid);
    r.session = pid;
    r.pidfd.reset(pidfd);
    r.ours = true;
    r.start_ticks = r.first_ticks = stat.start_ticks;
    r.started_ns = now_ns();
    r.output = static_cast<Fd&&>(e.output_read);
    r.errors = static_cast<Fd&&>(e.errors_read);
    r.stage_pipe = static_cast<Fd&&>(e.stage_read);
    r.phase = Phase::Spawning;
    r.deadline_ns = r.started_ns + std::int64_t{m.exec_timeout_ms} * 1'000'000;
    save(k, r);
    if (!r.task) set_limits(k, r, head, leaf.get());
    const char go = 1; // as soon as it may: the child waits for nothing else
    (void)!write(e.go_write.get(), &go, 1);
    arm(k, r);
    watch(k, pidfd, EPOLLIN, Source::RecordExit, r.index, r.serial);
    watch(k, r.stage_pipe.get(), EPOLLIN, Source::RecordStage, r.index, r.serial);
}

void on_stage(Keeper& k, Record& r) {
    StageNote note{};
    ssize_t n = 0;
    while ((n = read(r.stage_pipe.get(), &note, sizeof note)) == sizeof note) {
        release_lane(k, r);
        if (note.stage == wire::Stage::None) continue;
        r.stage = note.stage; // told once it is reaped
        r.error = note.error;
    }
    if (n < 0) return; // nothing yet
    unwatch(k, r.stage_pipe);
    release_lane(k, r);
    if (r.stage != wire::Stage::None || r.phase != Phase::Spawning) return;
    r.phase = Phase::Running;
    r.deadline_ns = r.task ? r.kill_at_ns : 0;
    save(k, r);
    tell(k, r, kTellSpawned);
}

void make_spare(Keeper& k) {
    if (k.spare.output_child) return;
    Ends e;
    if (make_ends(e, true, true)) k.spare = static_cast<Ends&&>(e);
}

bool start_supervisor(Keeper& k) {
    Supervisor& s = k.supervisor;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return false;
    Fd ours(ends[0]), theirs(ends[1]);
    const int buffer = 1 << 20; // a page of reports with its descriptors never fills it alone
    setsockopt(ours.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    const pid_t keeper = getpid();
    int pidfd = -1;
    const pid_t pid = clone_child(k, -1, false, pidfd);
    if (pid < 0) return false;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != keeper) _exit(127);
        setsid();
        reset_signals();
        fcntl(theirs.get(), F_SETFD, 0);
        std::size_t count = 0;
        while (k.program[count] != nullptr) ++count;
        auto** argv = static_cast<char**>(std::calloc(count + 4, sizeof(char*)));
        if (argv == nullptr) _exit(127);
        std::memcpy(argv, k.program, count * sizeof(char*));
        static char option[] = "--keeper-fd", number[16];
        std::snprintf(number, sizeof number, "%d", theirs.get());
        argv[count] = option;
        argv[count + 1] = number;
        static char safe[] = "--safe";
        if (s.early_deaths >= kSafeAfterDeaths) argv[count + 2] = safe;
        execvp(argv[0], argv);
        say("cannot start the supervisor: %s: %s", argv[0], std::strerror(errno));
        _exit(127);
    }
    s.pid = pid;
    s.pidfd.reset(pidfd);
    s.link = static_cast<Fd&&>(ours);
    s.serial = k.next_serial++;
    s.started_ns = now_ns();
    s.finished = s.left = false; // what its predecessor said last
    s.exit_code = 0;
    watch(k, s.link.get(), EPOLLIN, Source::Link, 0, s.serial);
    watch(k, pidfd, EPOLLIN, Source::SupervisorExit, 0, s.serial);
    return true;
}

} // namespace keepwell::keeper
