// Making children: intent, clone, record, go byte. The child runs on the keeper's own memory until
// its exec where that harms nobody, else on a copy (child.h says what it may do).
#include "supervisor/keeper/child.h"
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

namespace keepwell::keeper {

namespace {

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

// The memory of one plan: the plan, its vectors, the message's body, two more variables.
struct PlanMemory {
    Plan plan;
    char fleet[sizeof Keeper::fleet + 16];
    char notify[sizeof(sockaddr_un) + 16];
    // char* vector[], then the body
};

void read_strings(PlanMemory& memory, char** vector, unsigned char* body) {
    Plan& p = memory.plan;
    p.body = reinterpret_cast<const wire::Body*>(body);
    p.groups = reinterpret_cast<const std::uint32_t*>(body + sizeof(wire::Body));
    char* at = reinterpret_cast<char*>(body + sizeof(wire::Body) + std::size_t{p.body->groups} * 4);
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
    if (memory.fleet[0] != '\0') *vector++ = memory.fleet;
    if (memory.notify[0] != '\0') *vector++ = memory.notify;
    *vector = nullptr;
}

// nullptr without memory. To be freed.
PlanMemory* make_plan(const Keeper& k, const Record& r, const unsigned char* body,
                      std::size_t size) {
    wire::Body head;
    std::memcpy(&head, body, sizeof head);
    const std::size_t vector = (std::size_t{head.argc} + head.envc + 4) * sizeof(char*);
    auto* block = static_cast<unsigned char*>(std::calloc(1, sizeof(PlanMemory) + vector + size));
    if (block == nullptr) return nullptr;
    auto* memory = reinterpret_cast<PlanMemory*>(block);
    memory->plan = Plan{};
    unsigned char* rest = block + sizeof(PlanMemory);
    std::memcpy(rest + vector, body, size);
    if (k.fleet[0] != '\0')
        std::snprintf(memory->fleet, sizeof memory->fleet, "KEEPWELL_FLEET=%s", k.fleet);
    if (r.has_notify) notify_variable(k, r, memory->notify, sizeof memory->notify);
    read_strings(*memory, reinterpret_cast<char**>(rest), rest + vector);
    Plan& p = memory->plan;
    p.can = &k.can;
    p.task = r.task;
    p.keeper = getpid();
    p.nofile = k.original_nofile;
    p.nice = k.original_nice;
    p.oom = k.original_oom;
    return memory;
}

constexpr std::size_t kStack = 32 << 10, kPage = 4096;

unsigned char* make_stack() {
    void* at = mmap(nullptr, kPage + kStack, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (at == MAP_FAILED) return nullptr;
    mprotect(at, kPage, PROT_NONE);
    return static_cast<unsigned char*>(at) + kPage;
}

// A place for a child that may run on our memory. The kernel takes those who share it for one: it
// kills all of them when a group's memory limit ends one, and gives all of them one OOM score. Who
// drops rights makes the memory undumpable, which would close our own /proc to us unless we are
// root.
bool take_place(Keeper& k, Record& r, PlanMemory* memory) {
    const Plan& p = memory->plan;
    if (!k.can.share_memory || !p.shared || p.body->memory_max != 0 ||
        p.body->oom_score_adj != p.oom || (p.body->has_user != 0 && geteuid() != 0))
        return false;
    for (std::uint32_t i = 0; i < kPlaces; ++i) {
        Place& place = k.places[i];
        if (place.plan != nullptr) continue;
        if (place.stack == nullptr) place.stack = make_stack();
        if (place.stack == nullptr) return false;
        place.plan = memory;
        r.place = i;
        return true;
    }
    return false;
}

void child_edge(void* plan) { run_child(*static_cast<const Plan*>(plan)); }

void failed(Keeper& k, Record& r, wire::Stage stage, int error) {
    r.stage = stage;
    r.error = error;
    r.phase = Phase::Failed;
    r.tree_gone = true;
    r.output.reset();
    r.errors.reset();
    release_lane(k, r);
    release_place(k, r);
    forget(k, r);
    tell(k, r, kTellFailed);
}

// The leaf's descriptor is the caller's: in the child nothing may be destroyed on the way to
// child(), since until it has unshared the table every close would be one in the keeper.
pid_t clone_into(Keeper& k, Record& r, Fd& leaf, Plan& plan, int& pidfd) {
    ChildStart place{};
    if (r.place != kNoPlace) place = {k.places[r.place].stack, kStack, &child_edge, &plan};
    const ChildStart* start = r.place == kNoPlace ? nullptr : &place;
    const auto clone = [&](int cgroup) {
        return clone_child(k, cgroup, plan.shared, start, pidfd);
    };
    leaf.reset(make_leaf(k, r));
    r.leaf = static_cast<bool>(leaf);
    pid_t pid = clone(leaf.get());
    if (pid < 0 && r.leaf && errno != EAGAIN && errno != ENOMEM) {
        // Somebody removed or refuses the directory: once more, then without.
        leaf.reset(make_leaf(k, r));
        r.leaf = static_cast<bool>(leaf);
        pid = clone(leaf.get());
        if (pid < 0 && r.leaf && errno != EAGAIN && errno != ENOMEM) {
            remove_leaf(k, r);
            r.leaf = false;
            pid = clone(-1);
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

void release_place(Keeper& k, Record& r) {
    if (r.place == kNoPlace) return;
    Place& place = k.places[r.place];
    // Who dropped rights on our memory made it one that leaves no core and lets no debugger in.
    if (static_cast<const PlanMemory*>(place.plan)->plan.body->has_user != 0)
        prctl(PR_SET_DUMPABLE, 1);
    std::free(place.plan);
    place.plan = nullptr;
    if (r.place > 0) madvise(place.stack, kStack, MADV_DONTNEED);
    r.place = kNoPlace;
}

void spawn(Keeper& k, Record& r, const unsigned char* body, std::size_t size,
           const wire::SpawnMessage& m) {
    wire::Body head;
    std::memcpy(&head, body, sizeof head);
    r.has_notify = head.notify != 0 && !r.task;
    PlanMemory* memory = make_plan(k, r, body, size);
    if (memory == nullptr || !r.mark.set(memory->plan.mark, std::strlen(memory->plan.mark))) {
        std::free(memory);
        return failed(k, r, wire::Stage::Prepare, ENOMEM);
    }
    Plan& p = memory->plan;
    r.uid = head.has_user != 0 ? head.uid : getuid();
    r.kill_at_ns = m.kill_at_ns;
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
            take_place(k, r, memory);
            pid = clone_into(k, r, leaf, p, pidfd);
            if (pid == 0) run_child(p);
        }
    }
    const int error = errno;
    const bool shared = p.shared;
    if (r.place == kNoPlace) std::free(memory);
    if (pid < 0) return failed(k, r, stage, error);
    if (!shared) {
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
    release_place(k, r);
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
    const pid_t pid = clone_child(k, -1, false, nullptr, pidfd);
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
