// Which processes belong to a record: its cgroup, else ancestry and the KEEPWELL_UNIT mark.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keepwell::keeper {

namespace {

constexpr std::int64_t kScanEveryNs = 250'000'000, kLookAgainNs = 1'000'000;
// A process may fork and end while /proc is read, so that neither it nor its child is met.
constexpr int kEmptyLooks = 3;
constexpr int kKillRounds = 16; // a tree that forks faster than this is met again by the engine

struct Process {
    pid_t pid, ppid;
    Record* owner;
};

struct Census { // all processes, each with the record it belongs to
    explicit Census(Keeper& keeper) : k(keeper) {}
    ~Census() { std::free(list); }
    Census(const Census&) = delete;
    Census& operator=(const Census&) = delete;
    void take();
    void add(pid_t pid);
    Process* of(pid_t pid);

    Keeper& k;
    Process* list = nullptr;
    std::size_t count = 0, capacity = 0;
};

bool by_ancestry(const Record& r) { return !r.leaf && r.phase != Phase::Failed && !r.tree_gone; }

// Another fleet may have a unit of that name. Where the mark has no fleet (of an earlier keepwell)
// ancestry tells: its daemons are below its own keeper, which is their subreaper. In doubt it is
// not ours: a parent may end while we look.
bool of_this_fleet(const Keeper& k, const proc::Stat& stat, const proc::Mark& mark) {
    if (mark.fleet[0] != '\0') return std::strcmp(mark.fleet, k.fleet) == 0;
    proc::Stat parent;
    for (pid_t pid = stat.ppid; pid > 1 && pid != getpid(); pid = parent.ppid) {
        if (!proc::read_stat(pid, parent)) return false;
        if (std::strcmp(parent.name, "keepwell-keeper") == 0) return false;
    }
    return true;
}

// A process of a record without a cgroup: its main process, its session, or the mark. Mark and
// session are no proof across users: whoever can set them could have the tree of another killed.
Record* owner_of(Keeper& k, const proc::Stat& stat) {
    char path[32];
    proc::Mark mark;
    std::snprintf(path, sizeof path, "/proc/%d", stat.pid);
    struct stat directory {};
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r != nullptr && by_ancestry(*r) && r->pidfd && r->pid == stat.pid) return r;
    }
    const bool known = ::stat(path, &directory) == 0;
    const bool has_mark = known && proc::read_mark(stat.pid, mark) && of_this_fleet(k, stat, mark);
    for (std::uint32_t i = 0; known && i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r == nullptr || !by_ancestry(*r)) continue;
        if (stat.start_ticks < r->first_ticks || directory.st_uid != r->uid) continue;
        if ((has_mark && std::strcmp(r->mark.text(), mark.unit) == 0) ||
            (stat.session == r->session && stat.pid != r->session && stat.pid != r->pid))
            return r;
    }
    return nullptr;
}

void Census::add(pid_t pid) {
    proc::Stat stat;
    if (pid == getpid() || pid == k.supervisor.pid || !proc::read_stat(pid, stat)) return;
    if (stat.state == 'Z' || stat.state == 'X') return;
    if (count == capacity) {
        const std::size_t wanted = capacity == 0 ? 512 : capacity * 2;
        auto* grown = static_cast<Process*>(std::realloc(list, wanted * sizeof(Process)));
        if (grown == nullptr) return;
        list = grown;
        capacity = wanted;
    }
    list[count++] = Process{pid, stat.ppid, owner_of(k, stat)};
}

Process* Census::of(pid_t pid) {
    for (std::size_t i = 0; i < count; ++i)
        if (list[i].pid == pid) return &list[i];
    return nullptr;
}

void Census::take() {
    proc::each_process([](void* self, pid_t pid) { static_cast<Census*>(self)->add(pid); }, this);
    for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t i = 0; i < count; ++i) {
            if (list[i].owner != nullptr || list[i].ppid <= 1) continue;
            const Process* parent = of(list[i].ppid);
            if (parent == nullptr || parent->owner == nullptr) continue;
            list[i].owner = parent->owner;
            changed = true;
        }
    }
}

struct Delivery {
    const Record& record;
    int signal;
    bool group_only;
    std::size_t sent = 0;
};

void deliver(void* context, pid_t pid) {
    auto& d = *static_cast<Delivery*>(context);
    if (d.group_only && getpgid(pid) != d.record.pid) return;
    if (kill(pid, d.signal) == 0) ++d.sent;
}

std::size_t deliver_by_ancestry(Keeper& k, Record& r, Delivery& d) {
    Census census(k);
    census.take();
    d.sent = 0;
    for (std::size_t i = 0; i < census.count; ++i)
        if (census.list[i].owner == &r) deliver(&d, census.list[i].pid);
    return d.sent;
}

void signal_tree(Keeper& k, Record& r, int signal, bool group_only) {
    Delivery d{r, signal, group_only};
    if (!r.leaf) {
        // Killing takes rounds: what was forked behind the first census is met by the next.
        for (int i = 0; i < kKillRounds; ++i)
            if (deliver_by_ancestry(k, r, d) == 0 || signal != SIGKILL) break;
        k.scan_wanted = true;
        return;
    }
    const Fd leaf(open_leaf(k, r));
    if (!leaf) return;
    if (signal == SIGKILL && !group_only && k.can.cgroup_kill) {
        const Fd file(openat(leaf.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
        if (file && write(file.get(), "1", 1) == 1) return;
    }
    proc::each_in_cgroup(leaf.get(), deliver, &d);
}

} // namespace

void signal_record(Keeper& k, Record& r, int signal, wire::Scope scope) {
    if (signal < 1 || signal > 64 || r.phase == Phase::Failed) return;
    r.killed = r.killed || signal == SIGKILL;
    if (scope != wire::Scope::Tree && r.pidfd) {
        // While the main process is not reaped its pid and its group are surely its own.
        const pid_t group = getpgid(r.pid);
        if (scope == wire::Scope::Process || r.phase == Phase::Spawning || group <= 1)
            syscall(SYS_pidfd_send_signal, r.pidfd.get(), signal, nullptr, 0);
        else
            kill(-group, signal);
        return;
    }
    if (scope == wire::Scope::Process) return;
    if (r.pidfd && signal == SIGKILL)
        syscall(SYS_pidfd_send_signal, r.pidfd.get(), SIGKILL, nullptr, 0);
    if (!r.tree_gone) signal_tree(k, r, signal, scope == wire::Scope::Group);
}

void check_tree(Keeper& k, Record& r) {
    if (r.tree_gone || r.phase != Phase::Exited) return;
    if (!r.leaf) {
        k.scan_wanted = true;
        k.next_scan_ns = 0;
        return;
    }
    if (leaf_populated(k, r)) {
        watch_leaf(k, r);
        if (leaf_populated(k, r)) return;
    }
    unwatch_leaf(k, r);
    r.tree_gone = true;
    save(k, r);
    tell(k, r, kTellTree);
    settle(k, r);
}

bool in_tree(Keeper& k, const Record& r, pid_t pid) {
    if (r.leaf) return in_leaf(k, r, pid);
    Census census(k);
    census.take();
    const Process* process = census.of(pid);
    return process != nullptr && process->owner == &r;
}

namespace {

bool met(const Census& census, const Record& r) {
    for (std::size_t i = 0; i < census.count; ++i)
        if (census.list[i].owner == &r) return true;
    return false;
}

// One census answers for every record that waits for the end of its tree.
void take_census(Keeper& k) {
    Census census(k);
    census.take();
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r == nullptr || r->leaf || r->phase != Phase::Exited || r->tree_gone) continue;
        r->empty_looks = met(census, *r) ? 0 : static_cast<std::uint8_t>(r->empty_looks + 1);
        if (r->empty_looks < kEmptyLooks) {
            k.scan_wanted = true;
            if (r->empty_looks > 0) k.next_scan_ns = now_ns() + kLookAgainNs;
            continue;
        }
        r->tree_gone = true;
        save(k, *r);
        tell(k, *r, kTellTree);
        settle(k, *r);
    }
}

} // namespace

void scan_trees(Keeper& k) {
    k.scan_wanted = false;
    k.next_scan_ns = now_ns() + kScanEveryNs;
    bool by_census = false;
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r == nullptr || r->phase != Phase::Exited || r->tree_gone) continue;
        if (!r->leaf)
            by_census = true;
        else if (r->watch < 0)
            check_tree(k, *r);
    }
    if (by_census) take_census(k);
}

} // namespace keepwell::keeper
