// keepwell-keeper: parent of every daemon and of the supervisor. See keeper.h.
#include "supervisor/keeper/keeper.h"
#include "supervisor/keeper/raw.h"
#include "supervisor/keeper/start_pages.h"

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <initializer_list>
#include <linux/close_range.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace keepwell::keeper {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kRewatchNs = kSecond / 4;
constexpr std::int64_t kReapAfterNs = kSecond / 5;
constexpr std::uint32_t kFirstBackoffMs = 100, kLastBackoffMs = 5000;
constexpr std::int64_t kSettledNs = 10 * kSecond;   // after the start
constexpr std::int64_t kFirstSignNs = 60 * kSecond; // of a supervisor that has just started

bool env_set(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' && std::strcmp(value, "0") != 0;
}

// "lock,read,write,read,write" of the keeper that exec'ed us.
void take_descriptors(Keeper& k, const char* text) {
    int fds[5] = {-1, -1, -1, -1, -1};
    if (std::sscanf(text, "%d,%d,%d,%d,%d", &fds[0], &fds[1], &fds[2], &fds[3], &fds[4]) != 5)
        return;
    k.in_place = true;
    for (const int fd : fds)
        if (fd >= kFirstHanded) fcntl(fd, F_SETFD, FD_CLOEXEC);
    k.lock.reset(fds[0]);
    for (int i = 0; i < 4; ++i) k.stage_pipes[i].reset(fds[i + 1]);
}

// Descriptors 0..2 exist, nothing else is inherited, and the low numbers are held for children.
bool prepare_descriptors(const Keeper& k) {
    int null = -1;
    do null = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (null >= 0 && null < 3);
    if (k.in_place)
        close(null); // what the earlier keeper left is above the lanes and stays
    else
        close_from(k.can, 3);
    const Fd source(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!source) return false;
    for (int fd = kNullFd; fd < kFirstLane + static_cast<int>(kLanes) * kLaneSize; ++fd)
        if (fd != source.get() && dup3(source.get(), fd, O_CLOEXEC) < 0) return false;
    if (source.get() == kNullFd) const_cast<Fd&>(source).release();
    for (int fd = 0; fd < 3; ++fd)
        if (fcntl(fd, F_GETFD) >= 0) fcntl(fd, F_SETFD, 0);
    return true;
}

bool take_lock(Keeper& k) {
    if (mkdir(k.runtime_dir, 0755) != 0 && errno != EEXIST) {
        say("cannot start: cannot make %s: %s; use another runtime_dir", k.runtime_dir,
            std::strerror(errno));
        return false;
    }
    k.runtime.reset(open(k.runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto same = [&k](int fd) {
        struct stat a {
        }, b{};
        return fstat(fd, &a) == 0 && fstatat(k.runtime.get(), "lock", &b, 0) == 0 &&
               a.st_ino == b.st_ino && a.st_dev == b.st_dev;
    };
    if (k.lock && k.runtime && !same(k.lock.get())) k.lock.reset(); // of an earlier keeper
    if (k.runtime && !k.lock)
        k.lock.reset(
            openat(k.runtime.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!k.lock) {
        say("cannot start: cannot open %s/lock: %s; use another runtime_dir", k.runtime_dir,
            std::strerror(errno));
        return false;
    }
    char real[4096];
    if (realpath(k.runtime_dir, real) != nullptr && std::strlen(real) < sizeof k.fleet)
        std::snprintf(k.fleet, sizeof k.fleet, "%.511s", real);
    char text[24] = {};
    if (flock(k.lock.get(), LOCK_EX | LOCK_NB) != 0) {
        (void)!pread(k.lock.get(), text, sizeof text - 1, 0);
        text[std::strcspn(text, "\n")] = '\0';
        say("cannot start: keepwell is already running as pid %s (%s/lock); use \"keepwell "
            "status\", or another runtime_dir",
            text, k.runtime_dir);
        return false;
    }
    const int length = std::snprintf(text, sizeof text, "%d\n", getpid());
    (void)!ftruncate(k.lock.get(), 0);
    (void)!pwrite(k.lock.get(), text, static_cast<std::size_t>(length), 0);
    return true;
}

void prepare_limits(Keeper& k) {
    getrlimit(RLIMIT_NOFILE, &k.original_nofile);
    rlimit raised = k.original_nofile;
    raised.rlim_cur = raised.rlim_max;
    setrlimit(RLIMIT_NOFILE, &raised);
    errno = 0;
    k.original_nice = getpriority(PRIO_PROCESS, 0);
    char text[24];
    if (proc::read_file(AT_FDCWD, "/proc/self/oom_score_adj", text, sizeof text) > 0)
        k.original_oom = static_cast<int>(std::strtol(text, nullptr, 10));
}

void find_capabilities(Keeper& k) {
    const bool none = env_set("KEEPWELL_NO_CAPABILITIES");
    const auto may = [none](const char* name) { return !none && !env_set(name); };
    Capabilities& can = k.can;
    // An unusable size is refused as such by a kernel and a sandbox that allow the call.
    can.clone3 =
        may("KEEPWELL_NO_CLONE3") && syscall(SYS_clone3, nullptr, 0UL) < 0 && errno == EINVAL;
    can.into_cgroup = can.clone3 && may("KEEPWELL_NO_CLONE_INTO_CGROUP");
    can.clone_pidfd = may("KEEPWELL_NO_CLONE_PIDFD");
    // An empty range: refused as such where the call is known.
    can.close_range =
        may("KEEPWELL_NO_CLOSE_RANGE") && close_range(2, 1, 0) != 0 && errno == EINVAL;
    can.scm_pidfd = may("KEEPWELL_NO_SCM_PIDFD");
    can.cgroup = may("KEEPWELL_NO_CGROUP");
    can.cgroup_kill = may("KEEPWELL_NO_CGROUP_KILL");
    can.pidfd_info = may("KEEPWELL_NO_PIDFD_INFO") && kernel_tells_exits();
    can.share_memory =
        raw::kPrivate && can.clone3 && can.close_range && may("KEEPWELL_NO_SHARED_MEMORY");
    if (const char* ms = std::getenv("KEEPWELL_TICK_MS"))
        if (const long n = std::strtol(ms, nullptr, 10); n > 0) k.tick_ns = n * 1'000'000;
}

bool prepare_events(Keeper& k) {
    struct sigaction quiet {};
    quiet.sa_handler = SIG_DFL;
    quiet.sa_flags = SA_NOCLDSTOP;
    sigaction(SIGCHLD, &quiet, nullptr);
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, s);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    k.signals.reset(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    k.inotify.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    k.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
    if (!k.signals || !k.inotify || !k.epoll) return false;
    for (int i = 0; i < 4; i += 2) {
        if (k.stage_pipes[i] && k.stage_pipes[i + 1]) continue; // with what is in it
        int ends[2];
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
        (void)fcntl(ends[0], F_SETPIPE_SZ, 256 << 10);
        k.stage_pipes[i].reset(ends[0]);
        k.stage_pipes[i + 1].reset(ends[1]);
    }
    k.next_reap_ns = k.in_place ? 1 : 0; // who ended meanwhile told the earlier keeper
    watch(k, k.signals.get(), EPOLLIN, Source::Signals, 0, 0);
    watch(k, k.inotify.get(), EPOLLIN, Source::Inotify, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return true;
}

void launch(Keeper& k) {
    Supervisor& s = k.supervisor;
    s.restart_at_ns = 0;
    if (start_supervisor(k)) {
        s.watchdog = true;
        s.silent_ticks = 0;
        s.next_tick_ns = s.started_ns + kFirstSignNs;
        save_supervisor(k);
        return;
    }
    say("cannot start the supervisor: %s; trying again in 1 s", std::strerror(errno));
    s.restart_at_ns = now_ns() + kSecond;
}

void signal_all(Keeper& k, int signal) {
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r != nullptr && !r->tree_gone) signal_record(k, *r, signal, wire::Scope::Tree);
    }
}

void stop_alone(Keeper& k) {
    if (k.stopping_alone) return;
    k.stopping_alone = true;
    tell_manager(k, "STOPPING=1\nSTATUS=ending every daemon");
    k.kill_all_ns = now_ns() + 10 * kSecond;
    k.give_up_ns = now_ns() + 15 * kSecond;
    signal_all(k, SIGTERM);
    signal_all(k, SIGCONT); // a stopped process acts on nothing else
}

bool all_gone(const Keeper& k) {
    for (std::uint32_t i = 0; i < k.record_count; ++i)
        if (k.records[i] != nullptr && !k.records[i]->tree_gone) return false;
    return true;
}

void on_signals(Keeper& k) {
    signalfd_siginfo info;
    while (read(k.signals.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            // Signals of several children merge into one. What it names is met by its pidfd; that
            // an orphan hides behind it is seldom, and a look at all children is dear.
            const std::int64_t at =
                is_known(k, static_cast<pid_t>(info.ssi_pid)) ? now_ns() + kReapAfterNs : 1;
            if (k.next_reap_ns == 0 || at < k.next_reap_ns) k.next_reap_ns = at;
        } else if (info.ssi_signo == SIGHUP) {
            k.supervisor.tell_reload = static_cast<bool>(k.supervisor.link);
        } else if (!k.stopping) {
            k.stopping = true;
            k.supervisor.tell_stop = true;
            if (k.supervisor.pid == 0) stop_alone(k);
        }
    }
}

void tick(Keeper& k, std::int64_t now) {
    Supervisor& s = k.supervisor;
    if (!s.watchdog || s.pid == 0 || now < s.next_tick_ns) return;
    s.next_tick_ns = now + k.tick_ns; // our own ticks: after a pause there is one, not many
    ++s.silent_ticks;
    const int signal = s.silent_ticks == kAbortAfterTicks  ? SIGABRT
                       : s.silent_ticks == kKillAfterTicks ? SIGKILL
                                                           : 0;
    if (signal == 0) return;
    say("the supervisor (pid %d) says nothing for %u ticks: signal %d", s.pid, s.silent_ticks,
        signal);
    syscall(SYS_pidfd_send_signal, s.pidfd.get(), signal, nullptr, 0);
}

void check_deadlines(Keeper& k, std::int64_t now) {
    Supervisor& s = k.supervisor;
    for (Record* r = k.timed; r != nullptr;) {
        const std::uint32_t freed = k.freed;
        Record* next = r->timed_after;
        check_deadline(k, *r, now);
        r = k.freed == freed ? next : k.timed;
    }
    if (k.next_reap_ns != 0 && now >= k.next_reap_ns) reap_orphans(k);
    if (k.scan_wanted && now >= k.next_scan_ns) scan_trees(k);
    tick(k, now);
    check_upgrade(k, now);
    if (k.settled_ns != 0 && now >= k.settled_ns) {
        k.settled_ns = 0;
        forget_start_pages();
    }
    pet_manager(k, now);
    if (s.retry_send_ns != 0 && now >= s.retry_send_ns) {
        s.retry_send_ns = 0;
        s.send_blocked = false;
    }
    if (s.pid != 0 && s.kill_at_ns != 0 && now >= s.kill_at_ns) {
        s.kill_at_ns = 0;
        say("the supervisor (pid %d) does not end: killing it", s.pid);
        syscall(SYS_pidfd_send_signal, s.pidfd.get(), SIGKILL, nullptr, 0);
    }
    if (s.pid == 0 && s.restart_at_ns != 0 && now >= s.restart_at_ns && !k.stopping) launch(k);
    if (!k.stopping_alone) return;
    if (k.kill_all_ns != 0 && now >= k.kill_all_ns) {
        k.kill_all_ns = 0;
        signal_all(k, SIGKILL);
    }
    if (all_gone(k) || now >= k.give_up_ns) k.done = true;
}

int wait_ms(const Keeper& k, std::int64_t now) {
    std::int64_t next = 0;
    const auto at = [&next](std::int64_t t) {
        if (t > 0 && (next == 0 || t < next)) next = t;
    };
    const Supervisor& s = k.supervisor;
    for (const Record* r = k.timed; r != nullptr; r = r->timed_after) {
        at(r->deadline_ns);
        if (r->pidfd) at(r->kill_at_ns);
    }
    at(k.rewatch_ns);
    at(k.next_reap_ns);
    if (k.scan_wanted) at(k.next_scan_ns == 0 ? now : k.next_scan_ns);
    if (s.watchdog && s.pid != 0) at(s.next_tick_ns);
    at(k.settled_ns);
    at(k.upgrade.deadline_ns);
    at(k.manager.next_pet_ns);
    at(k.manager.retry_ns);
    if (s.pid != 0) at(s.kill_at_ns);
    if (s.pid == 0 && !k.stopping) at(s.restart_at_ns);
    at(s.retry_send_ns);
    if (k.stopping_alone) {
        at(k.kill_all_ns);
        at(k.give_up_ns);
    }
    if (next == 0) return -1;
    return next <= now ? 0 : static_cast<int>((next - now + 999'999) / 1'000'000);
}

void dispatch(Keeper& k, const epoll_event& event) {
    const auto source = static_cast<Source>(event.data.u64 >> 56);
    const auto index = static_cast<std::uint32_t>(event.data.u64 >> 32 & 0xffffffU);
    const auto serial = static_cast<std::uint32_t>(event.data.u64);
    Record* r = index < k.record_count ? k.records[index] : nullptr;
    if (r != nullptr && r->serial != serial) r = nullptr;
    switch (source) {
    case Source::Link:
        if (k.supervisor.link && k.supervisor.serial == serial) on_link(k, event.events);
        return;
    case Source::SupervisorExit:
        if (k.supervisor.pid != 0 && k.supervisor.serial == serial) on_supervisor_exit(k);
        return;
    case Source::Signals: return on_signals(k);
    case Source::UpgradeCheck:
        if (k.upgrade.pid != 0) on_upgrade_check(k);
        return;
    case Source::Inotify: return on_inotify(k);
    case Source::RecordExit:
        if (r != nullptr && r->pidfd) on_record_exit(k, *r, event.events);
        return;
    case Source::RecordStage:
        if (r != nullptr && r->stage_pipe) on_stage(k, *r);
        return;
    }
}

// Whose descriptor is not in the set would never be heard of again.
void rewatch(Keeper& k) {
    k.rewatch_ns = 0;
    const auto again = [&k](const Fd& fd, Source source, std::uint32_t index,
                            std::uint32_t serial) {
        if (fd) watch(k, fd.get(), EPOLLIN, source, index, serial);
    };
    const Supervisor& s = k.supervisor;
    again(k.signals, Source::Signals, 0, 0);
    again(k.inotify, Source::Inotify, 0, 0);
    again(s.link, Source::Link, 0, s.serial);
    again(s.pidfd, Source::SupervisorExit, 0, s.serial);
    again(k.upgrade.pidfd, Source::UpgradeCheck, 0, 0);
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        const Record* r = k.records[i];
        if (r == nullptr) continue;
        again(r->pidfd, Source::RecordExit, r->index, r->serial);
        again(r->stage_pipe, Source::RecordStage, r->index, r->serial);
    }
}

void turn(Keeper& k) {
    epoll_event events[64];
    const int n = epoll_wait(k.epoll.get(), events, 64, wait_ms(k, now_ns()));
    for (int i = 0; i < n; ++i) dispatch(k, events[i]);
    check_deadlines(k, now_ns());
    if (k.rewatch_ns != 0 && k.rewatch_ns <= now_ns()) rewatch(k);
    flush(k);
    make_spare(k);
}

int run(Keeper& k) {
    for (const char* name : {"KEEPWELL_UNIT", "KEEPWELL_FLEET"}) unsetenv(name); // kept by another
    find_program_file(k);
    prepare_limits(k);
    find_capabilities(k);
    if (!prepare_descriptors(k)) {
        say("cannot start: /dev/null: %s", std::strerror(errno));
        return 1;
    }
    if (!take_lock(k)) return 1;
    find_manager(k);
    if (!prepare_events(k)) {
        say("cannot start: %s", std::strerror(errno));
        return 1;
    }
    find_cgroup(k);
    find_limits(k);
    if (!open_state(k)) {
        say("cannot start: cannot use %s/keeper.state: %s; use another runtime_dir", k.runtime_dir,
            std::strerror(errno));
        return 1;
    }
    launch(k);
    k.settled_ns = now_ns() + kSettledNs;
    while (!k.done) turn(k);
    forget(k, k.supervisor.memory);
    remove_cgroups(k);
    remove_all_limits(k);
    return k.exit_code;
}

} // namespace

void watch(Keeper& k, int fd, std::uint32_t events, Source source, std::uint32_t index,
           std::uint32_t serial, bool modify) {
    epoll_event e{};
    e.events = events;
    e.data.u64 = std::uint64_t{static_cast<std::uint8_t>(source)} << 56 |
                 std::uint64_t{index & 0xffffffU} << 32 | serial;
    if (epoll_ctl(k.epoll.get(), modify ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) == 0) return;
    if (errno == EEXIST) return;
    if (k.rewatch_ns == 0) say("cannot watch a descriptor: %s; trying again", std::strerror(errno));
    k.rewatch_ns = now_ns() + kRewatchNs;
}

void unwatch(Keeper& k, Fd& fd) {
    if (!fd) return;
    epoll_ctl(k.epoll.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
    fd.reset();
}

std::int64_t now_ns() {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return std::int64_t{ts.tv_sec} * kSecond + ts.tv_nsec;
}

void say(const char* format, ...) {
    char text[1024];
    std::va_list args;
    va_start(args, format);
    std::vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    std::size_t length = std::strlen(text);
    text[length++] = '\n';
    (void)!write(2, text, length);
}

void on_supervisor_exit(Keeper& k) {
    Supervisor& s = k.supervisor;
    siginfo_t info{};
    if (waitid(P_PIDFD, static_cast<id_t>(s.pidfd.get()), &info, WEXITED | WNOHANG) != 0 ||
        info.si_pid == 0)
        return;
    // Its last words may still be in the socket; it is dead, so they end.
    for (int i = 0; s.link && i < 64; ++i) on_link(k, EPOLLIN);
    drop_link(k);
    const pid_t pid = s.pid;
    s.pid = 0;
    unwatch(k, s.pidfd);
    s.kill_at_ns = 0;
    const bool stopped_all = s.finished && !s.left; // whoever asked for that wins
    if (k.upgrade.agreed && !k.stopping && !stopped_all) return upgrade_now(k);
    k.upgrade.agreed = false;
    if (s.finished && !(s.left && k.stopping)) {
        k.exit_code = s.exit_code;
        k.done = true;
        return;
    }
    char how[40];
    std::snprintf(how, sizeof how, info.si_code == CLD_EXITED ? "exit code %d" : "signal %d",
                  info.si_status);
    if (k.stopping) {
        say("the supervisor (pid %d) ended (%s) while stopping: ending every daemon", pid, how);
        return stop_alone(k);
    }
    const std::int64_t now = now_ns();
    const bool early = now - s.started_ns < 10 * kSecond;
    s.early_deaths = early ? s.early_deaths + 1 : 0;
    s.backoff_ms = !early || s.backoff_ms == 0 ? kFirstBackoffMs : s.backoff_ms * 2;
    if (s.backoff_ms > kLastBackoffMs) s.backoff_ms = kLastBackoffMs;
    s.restart_at_ns = now + std::int64_t{s.backoff_ms} * 1'000'000;
    say("the supervisor (pid %d) ended (%s); starting it again in %u ms%s", pid, how, s.backoff_ms,
        s.early_deaths >= kSafeAfterDeaths ? " in safe mode, since it keeps dying soon" : "");
    tell_manager(k, "STATUS=starting the supervisor again");
}

} // namespace keepwell::keeper

int main(int argc, char** argv) {
    using namespace keepwell::keeper;
    static Keeper keeper;
    bool check = false;
    int at = 1;
    for (; at < argc && std::strcmp(argv[at], "--") != 0; ++at) {
        const bool more = at + 1 < argc;
        if (std::strcmp(argv[at], "--check-state") == 0)
            check = true;
        else if (more && std::strcmp(argv[at], "--runtime-dir") == 0)
            keeper.runtime_dir = argv[++at];
        else if (more && std::strcmp(argv[at], "--in-place") == 0)
            take_descriptors(keeper, argv[++at]);
        else
            break;
    }
    if (keeper.runtime_dir == nullptr || at + 1 >= argc || std::strcmp(argv[at], "--") != 0) {
        say("usage: keepwell-keeper [--check-state] --runtime-dir DIR -- PROGRAM [ARGUMENT…]");
        return 2;
    }
    keeper.program = argv + at + 1;
    return check ? check_state(keeper.runtime_dir, keeper.program) : run(keeper);
}
