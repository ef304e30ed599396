// The next version of this program in the place of this one: first it says that it can read our
// state, then the supervisor ends without touching anything, then exec. The process, its children,
// the lock and the pipes stay; what was in the pipes stays with them.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell::keeper {

namespace {

constexpr std::int64_t kCheckNs = 10'000'000'000; // the new program's time to look at the state
constexpr std::int64_t kLeaveNs = 10'000'000'000; // the supervisor's to end
constexpr std::int64_t kSpawnNs = 2'000'000'000;  // of children that are not past their exec

void refuse(Keeper& k, const char* why) {
    Upgrade& u = k.upgrade;
    std::snprintf(u.text, sizeof u.text, "%s", why);
    say("cannot upgrade: %s", u.text);
    k.supervisor.tell_refused = static_cast<bool>(k.supervisor.link);
    u.agreed = false;
    u.deadline_ns = 0;
}

[[noreturn]] void check_child(const Keeper& k, int output) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(kNullFd, 0);
    dup2(output, 1);
    dup2(output, 2);
    std::size_t count = 0;
    while (k.program[count] != nullptr) ++count;
    auto** argv = static_cast<char**>(std::calloc(count + 6, sizeof(char*)));
    if (argv == nullptr) _exit(127);
    static char check[] = "--check-state", folder[] = "--runtime-dir", rest[] = "--";
    char** at = argv;
    *at++ = const_cast<char*>(k.program_file);
    *at++ = check;
    *at++ = folder;
    *at++ = const_cast<char*>(k.runtime_dir);
    *at++ = rest;
    std::memcpy(at, k.program, count * sizeof(char*));
    execv(k.program_file, argv);
    say("cannot run %s: %s", k.program_file, std::strerror(errno));
    _exit(127);
}

// The last line it said is why.
void take_answer(Upgrade& u) {
    const ssize_t n = read(u.output.get(), u.text, sizeof u.text - 1);
    u.text[n > 0 ? n : 0] = '\0';
    for (std::size_t end = std::strlen(u.text); end > 0 && u.text[end - 1] == '\n';)
        u.text[--end] = '\0';
    if (const char* line = std::strrchr(u.text, '\n'))
        std::memmove(u.text, line + 1, std::strlen(line));
}

bool any_spawning(const Keeper& k) {
    for (std::uint32_t i = 0; i < k.record_count; ++i)
        if (k.records[i] != nullptr && k.records[i]->phase == Phase::Spawning) return true;
    return false;
}

// A copy that survives the exec. The lanes of the next keeper may be more than ours.
int hand(const Fd& fd) { return fd ? fcntl(fd.get(), F_DUPFD, kFirstHanded) : -1; }

void take_back(std::int32_t& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
}

// The numbers of a record's descriptors are in the state file while we hand over.
void hand_records(Keeper& k, bool on) {
    k.upgrade.handing_over = on;
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r == nullptr || r->task || (r->state_entry == ~0U && !r->aside)) continue;
        const Fd* const fds[] = {&r->pidfd, &r->output, &r->errors, &r->notify};
        std::int32_t* kept = r->kept;
        for (const Fd* const fd : fds) {
            if (on)
                *kept = hand(*fd);
            else
                take_back(*kept);
            ++kept;
        }
        save(k, *r);
        if (r->aside && !on) forget(k, *r);
    }
}

// Only comes back when the new program cannot be run.
void exec_new(Keeper& k) {
    std::size_t count = 0;
    while (k.program[count] != nullptr) ++count;
    auto** argv = static_cast<char**>(std::calloc(count + 7, sizeof(char*)));
    if (argv == nullptr) return say("cannot upgrade: no memory; nothing was changed");
    std::int32_t fds[5] = {hand(k.lock)};
    for (int i = 0; i < 4; ++i) fds[i + 1] = hand(k.stage_pipes[i]);
    char handed[80];
    std::snprintf(handed, sizeof handed, "%d,%d,%d,%d,%d", fds[0], fds[1], fds[2], fds[3], fds[4]);
    static char in_place[] = "--in-place", folder[] = "--runtime-dir", rest[] = "--";
    char** at = argv;
    *at++ = const_cast<char*>(k.program_file);
    *at++ = in_place;
    *at++ = handed;
    *at++ = folder;
    *at++ = const_cast<char*>(k.runtime_dir);
    *at++ = rest;
    std::memcpy(at, k.program, count * sizeof(char*));
    forget(k, k.supervisor.memory);
    hand_records(k, true);
    manager_to_environment(k);
    setrlimit(RLIMIT_NOFILE, &k.original_nofile);
    execv(k.program_file, argv);
    const int error = errno;
    std::free(argv);
    rlimit raised = k.original_nofile;
    raised.rlim_cur = raised.rlim_max;
    setrlimit(RLIMIT_NOFILE, &raised);
    manager_from_environment();
    hand_records(k, false);
    for (std::int32_t& fd : fds) take_back(fd);
    say("cannot upgrade: cannot run %s: %s", k.program_file, std::strerror(error));
}

} // namespace

void find_program_file(Keeper& k) {
    const ssize_t n = readlink("/proc/self/exe", k.program_file, sizeof k.program_file - 1);
    k.program_file[n > 0 ? n : 0] = '\0';
    // Replaced between our exec and now. A file may also be called so.
    static constexpr char kGone[] = " (deleted)";
    const std::size_t length = std::strlen(k.program_file);
    if (length < sizeof kGone || access(k.program_file, F_OK) == 0) return;
    char* end = k.program_file + length - (sizeof kGone - 1);
    if (std::strcmp(end, kGone) == 0) *end = '\0';
}

void begin_upgrade(Keeper& k) {
    Upgrade& u = k.upgrade;
    if (u.pid != 0 || u.agreed) return; // it is under way
    if (k.stopping) return refuse(k, "keepwell is stopping");
    int ends[2];
    const auto refuse_for = [&k](const char* what) {
        char why[200];
        std::snprintf(why, sizeof why, "%s: %s", what, std::strerror(errno));
        refuse(k, why);
    };
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return refuse_for("no pipe for the check");
    u.output.reset(ends[0]);
    const Fd write_end(ends[1]);
    int pidfd = -1;
    const pid_t pid = clone_child(k, -1, false, nullptr, pidfd);
    if (pid == 0) check_child(k, write_end.get());
    if (pid < 0) return refuse_for("the new program's check cannot be started");
    u.pid = pid;
    u.pidfd.reset(pidfd);
    u.deadline_ns = now_ns() + kCheckNs;
    u.late = false;
    watch(k, pidfd, EPOLLIN, Source::UpgradeCheck, 0, 0);
}

void on_upgrade_check(Keeper& k) {
    Upgrade& u = k.upgrade;
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(u.pid), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    unwatch(k, u.pidfd);
    u.pid = 0;
    u.deadline_ns = 0;
    take_answer(u);
    u.output.reset();
    if (u.late) return refuse(k, "the new program did not look at the state within 10 s");
    if (info.si_code != CLD_EXITED || info.si_status != 0) {
        char why[sizeof u.text + 40];
        if (u.text[0] != '\0')
            std::snprintf(why, sizeof why, "%s", u.text);
        else
            std::snprintf(why, sizeof why, "the new program's check ended with %s %d",
                          info.si_code == CLD_EXITED ? "code" : "signal", info.si_status);
        return refuse(k, why);
    }
    if (k.stopping) return refuse(k, "keepwell is stopping");
    u.agreed = true;
    if (k.supervisor.pid == 0) return upgrade_now(k);
    k.supervisor.tell_leave = true;
    k.supervisor.kill_at_ns = now_ns() + kLeaveNs; // killing it touches nothing either
}

void upgrade_now(Keeper& k) {
    k.supervisor.restart_at_ns = 0;
    k.upgrade.deadline_ns = now_ns() + kSpawnNs;
}

void check_upgrade(Keeper& k, std::int64_t now) {
    Upgrade& u = k.upgrade;
    if (u.pid != 0 && u.deadline_ns != 0 && now >= u.deadline_ns) {
        u.deadline_ns = 0;
        u.late = true;
        kill(u.pid, SIGKILL); // ours, and not waited for yet
    }
    if (!u.agreed || k.supervisor.pid != 0 || u.deadline_ns == 0) return;
    if (k.stopping) { // it came between the supervisor's end and now
        u.agreed = false;
        u.deadline_ns = 0;
        return;
    }
    if (any_spawning(k) && now < u.deadline_ns) return;
    exec_new(k);
    u.agreed = false;
    u.deadline_ns = 0;
    k.supervisor.restart_at_ns = now;
}

} // namespace keepwell::keeper
