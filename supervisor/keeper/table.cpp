// The records: found, made, ended, forgotten.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

namespace keepwell::keeper {

namespace {

constexpr std::int64_t kStuckNs = 5'000'000'000;
constexpr std::int64_t kAsideNs = 1'000'000'000; // between looks at what is unread
constexpr int kAsideLooks = 60;

struct PidfdInfo { // struct pidfd_info of Linux 6.15, first version
    std::uint64_t mask, cgroup;
    std::uint32_t ids[11];
    std::int32_t exit_code;
};
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t kPidfdInfoExit = 1U << 3;

bool newer_than(int major, int minor) {
    utsname name{};
    int a = 0, b = 0;
    return uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &a, &b) == 2 &&
           (a > major || (a == major && b >= minor));
}

std::uint32_t hash_of(const char* key) {
    std::uint32_t h = 2166136261U;
    for (; *key != '\0'; ++key) h = (h ^ static_cast<unsigned char>(*key)) * 16777619U;
    return h;
}

std::uint32_t bucket_of(pid_t pid) { return static_cast<std::uint32_t>(pid) % kBuckets; }

void unchain(Record*& head, Record& r, Record* Record::*next) {
    Record** at = &head;
    while (*at != nullptr && *at != &r) at = &((*at)->*next);
    if (*at != nullptr) *at = r.*next;
}

bool unread(const Fd& fd) {
    int bytes = 0;
    return fd && ioctl(fd.get(), FIONREAD, &bytes) == 0 && bytes > 0;
}

bool has_last_words(const Record& r) {
    return !r.task && r.phase == Phase::Exited && (unread(r.output) || unread(r.errors));
}

void erase(Keeper& k, Record& r) {
    if (r.aside) --k.aside;
    disarm(k, r);
    k.records[r.index] = nullptr;
    if (r.index < k.first_free) k.first_free = r.index;
    ++k.freed;
    r.~Record();
    std::free(&r);
}

void look_aside(Keeper& k, Record& r, std::int64_t now) {
    if (now < r.deadline_ns) return;
    r.deadline_ns = now + kAsideNs;
    // Who reads nothing for that long has a disk that does not write, or something that left the
    // tree goes on printing.
    if (++r.empty_looks > kAsideLooks || !has_last_words(r)) erase(k, r);
}

bool grow(Keeper& k) {
    const std::uint32_t count = k.record_count == 0 ? 64 : k.record_count * 2;
    auto** grown = static_cast<Record**>(std::realloc(k.records, count * sizeof(void*)));
    if (grown == nullptr) return false;
    for (std::uint32_t i = k.record_count; i < count; ++i) grown[i] = nullptr;
    k.records = grown;
    k.record_count = count;
    return true;
}

// False if it has not ended, or if its parent (not we) has not reaped it yet.
bool read_status(Keeper& k, Record& r, std::uint32_t events) {
    siginfo_t child{};
    rusage usage{};
    // Also one that was not ours: orphans come to us, the subreaper.
    if (syscall(SYS_waitid, P_PIDFD, r.pidfd.get(), &child, WEXITED | WNOHANG, &usage) == 0) {
        if (child.si_pid == 0) return false;
        r.exit_known = true;
        r.wait_status = wait_status_of(child.si_code, child.si_status);
        r.user_us = static_cast<std::uint64_t>(usage.ru_utime.tv_sec) * 1'000'000U +
                    static_cast<std::uint64_t>(usage.ru_utime.tv_usec);
        r.system_us = static_cast<std::uint64_t>(usage.ru_stime.tv_sec) * 1'000'000U +
                      static_cast<std::uint64_t>(usage.ru_stime.tv_usec);
        r.max_rss_kib = static_cast<std::uint64_t>(usage.ru_maxrss);
        return true;
    }
    if (errno != ECHILD) return false;
    if (r.ours || !k.can.pidfd_info) return true; // somebody else reaped it: the status is unknown
    PidfdInfo info{};
    info.mask = kPidfdInfoExit;
    const bool reaped = (events & EPOLLHUP) != 0;
    if (reaped && ioctl(r.pidfd.get(), kPidfdGetInfo, &info) == 0 &&
        (info.mask & kPidfdInfoExit) != 0) {
        r.exit_known = true;
        r.wait_status = info.exit_code;
        return true;
    }
    if (reaped || r.deadline_ns != 0) return true;
    // A zombie: its status comes when its parent has reaped it. Only that wakes us now.
    watch(k, r.pidfd.get(), 0, Source::RecordExit, r.index, r.serial, true);
    r.deadline_ns = now_ns() + kStuckNs;
    arm(k, r);
    return false;
}

void ended(Keeper& k, Record& r) {
    r.exited_ns = now_ns();
    r.deadline_ns = 0;
    unwatch(k, r.pidfd);
    r.oom = r.exit_known && (r.wait_status & 0x7f) == SIGKILL && killed_by_oom(k, r);
    if (r.phase == Phase::Spawning && r.stage != wire::Stage::None) {
        r.phase = Phase::Failed;
        r.tree_gone = true;
        r.output.reset();
        r.errors.reset();
        forget(k, r);
        tell(k, r, kTellFailed);
        settle(k, r);
        return;
    }
    const bool never_told = r.phase == Phase::Spawning;
    r.phase = Phase::Exited;
    save(k, r);
    tell(k, r, (never_told ? kTellSpawned : 0) | kTellExited);
    if (r.task) signal_record(k, r, SIGKILL, wire::Scope::Tree); // left-overs of a helper
    flush(
        k); // the supervisor wakes up while we look at the tree; this record cannot go before that
    check_tree(k, r);
}

} // namespace

bool Bytes::set(const void* from, std::size_t size) {
    if (at_ != nullptr && size == size_ && std::memcmp(at_, from, size) == 0) return true;
    auto* fresh = static_cast<char*>(std::malloc(size + 1));
    if (fresh == nullptr) return false;
    std::memcpy(fresh, from, size);
    fresh[size] = '\0';
    std::free(at_);
    at_ = fresh;
    size_ = static_cast<std::uint32_t>(size);
    return true;
}

bool kernel_tells_exits() {
    const Fd self(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
    PidfdInfo info{};
    info.mask = kPidfdInfoExit; // 6.13 knows the call but not this bit, and leaves the rest alone
    return self && ioctl(self.get(), kPidfdGetInfo, &info) == 0 && newer_than(6, 15);
}

int wait_status_of(int code, int status) {
    if (code == CLD_EXITED) return (status & 0xff) << 8;
    return (status & 0x7f) | (code == CLD_DUMPED ? 0x80 : 0);
}

Record* find(Keeper& k, const char* key) {
    const std::uint32_t hash = hash_of(key);
    for (Record* r = k.by_name[hash % kBuckets]; r != nullptr; r = r->next_of_name)
        if (r->hash == hash && !r->task && std::strcmp(r->key.text(), key) == 0) return r;
    return nullptr;
}

Record* find_task(Keeper& k, std::uint64_t id) {
    for (Record* r = k.by_name[hash_of("") % kBuckets]; r != nullptr; r = r->next_of_name)
        if (r->task && r->generation == id) return r;
    return nullptr;
}

Record* find_pid(Keeper& k, pid_t pid) {
    for (Record* r = k.by_pid[bucket_of(pid)]; r != nullptr; r = r->next_of_pid)
        if (r->pid == pid && r->pidfd) return r;
    return nullptr;
}

bool is_known(const Keeper& k, pid_t pid) {
    for (const Record* r = k.by_pid[bucket_of(pid)]; r != nullptr; r = r->next_of_pid)
        if (r->pid == pid) return true;
    return pid == k.supervisor.pid || pid == k.upgrade.pid;
}

void set_pid(Keeper& k, Record& r, pid_t pid) {
    if (r.pid != 0) unchain(k.by_pid[bucket_of(r.pid)], r, &Record::next_of_pid);
    r.pid = pid;
    if (pid == 0) return;
    Record*& head = k.by_pid[bucket_of(pid)];
    r.next_of_pid = head;
    head = &r;
}

Record* add_record(Keeper& k, const char* key, bool task, std::uint64_t generation) {
    std::uint32_t index = k.first_free;
    while (index < k.record_count && k.records[index] != nullptr) ++index;
    if (index == k.record_count && !grow(k)) return nullptr;
    void* memory = std::calloc(1, sizeof(Record));
    if (memory == nullptr) return nullptr;
    auto* r = new (memory) Record{};
    if (!r->key.set(key, std::strlen(key))) {
        r->~Record();
        std::free(r);
        return nullptr;
    }
    r->hash = hash_of(key);
    r->task = task;
    r->generation = generation;
    r->index = index;
    r->serial = k.next_serial++;
    k.records[index] = r;
    k.first_free = index + 1;
    Record*& head = k.by_name[r->hash % kBuckets];
    r->next_of_name = head;
    head = r;
    return r;
}

void free_record(Keeper& k, Record& r) {
    if (r.aside) return erase(k, r);
    untell(k, r);
    disarm(k, r);
    unwatch(k, r.pidfd);
    unwatch(k, r.stage_pipe);
    release_lane(k, r);
    release_place(k, r);
    unwatch_leaf(k, r);
    if (r.leaf) remove_leaf(k, r);
    remove_notify_socket(k, r);
    remove_limits(k, r);
    lay_aside(k, r);
}

void lay_aside(Keeper& k, Record& r) {
    forget(k, r);
    set_pid(k, r, 0);
    unchain(k.by_name[r.hash % kBuckets], r, &Record::next_of_name);
    if (k.aside >= kMostAside || !has_last_words(r)) return erase(k, r);
    ++k.aside;
    ++k.freed;
    r.aside = r.exit_acked = r.tree_gone = true;
    r.leaf = r.has_notify = false; // its names may be another instance's by now
    r.notify.reset();
    r.kill_at_ns = 0;
    r.empty_looks = 0;
    r.deadline_ns = now_ns() + kAsideNs;
    arm(k, r);
}

void tell(Keeper& k, Record& r, std::uint32_t bits) {
    if (r.task && (!k.supervisor.link || bits == kTellTree)) return; // nobody asks for it
    if (r.tell == 0) {
        r.next_told = nullptr;
        (k.told == nullptr ? k.told : k.told_last->next_told) = &r;
        k.told_last = &r;
    }
    r.tell |= bits;
}

void untell(Keeper& k, Record& r) {
    if (r.tell == 0) return;
    r.tell = 0;
    Record* before = nullptr;
    for (Record* at = k.told; at != &r; at = at->next_told) before = at;
    (before == nullptr ? k.told : before->next_told) = r.next_told;
    if (k.told_last == &r) k.told_last = before;
}

void arm(Keeper& k, Record& r) {
    if (r.timed) return;
    r.timed = true;
    r.timed_before = nullptr;
    r.timed_after = k.timed;
    if (k.timed != nullptr) k.timed->timed_before = &r;
    k.timed = &r;
}

void disarm(Keeper& k, Record& r) {
    if (!r.timed) return;
    r.timed = false;
    (r.timed_before == nullptr ? k.timed : r.timed_before->timed_after) = r.timed_after;
    if (r.timed_after != nullptr) r.timed_after->timed_before = r.timed_before;
}

void settle(Keeper& k, Record& r) {
    if (r.tell != 0 || !r.tree_gone) return;
    const bool over = r.phase == Phase::Failed ? r.exit_acked || r.task
                      : r.task                 ? r.phase == Phase::Exited
                                               : false;
    if (over) free_record(k, r);
}

void on_record_exit(Keeper& k, Record& r, std::uint32_t events) {
    if (r.phase == Phase::Spawning && r.stage_pipe) {
        const std::uint32_t serial = r.serial;
        on_stage(k, r);
        if (r.serial != serial) return;
    }
    if (!read_status(k, r, events)) return;
    release_lane(k, r);
    release_place(k, r);
    unwatch(k, r.stage_pipe);
    ended(k, r);
}

// SIGCHLD says only that somebody may wait. A record's process is left to its own pidfd event; what
// is none of ours are orphans that the subreaper inherited.
void reap_orphans(Keeper& k) {
    k.next_reap_ns = 0;
    for (;;) {
        siginfo_t info{};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
        if (Record* r = find_pid(k, info.si_pid)) {
            r->ours = true;
            on_record_exit(k, *r, EPOLLIN);
        } else if (info.si_pid == k.supervisor.pid) {
            on_supervisor_exit(k);
        } else if (info.si_pid == k.upgrade.pid) {
            on_upgrade_check(k);
        } else {
            waitid(P_PID, static_cast<id_t>(info.si_pid), &info, WEXITED | WNOHANG);
            k.scan_wanted = true;
        }
    }
}

void check_deadline(Keeper& k, Record& r, std::int64_t now) {
    if (r.aside) return look_aside(k, r, now);
    if (r.deadline_ns == 0 && r.kill_at_ns == 0) return disarm(k, r);
    if (r.pidfd && r.kill_at_ns != 0 && now >= r.kill_at_ns) {
        if (!r.timed_out) {
            r.timed_out = true;
            r.kill_at_ns = now + kStuckNs;
            signal_record(k, r, SIGKILL, wire::Scope::Tree);
            return;
        }
        r.kill_at_ns = 0; // cannot be killed: the caller is told, the record waits on
        tell(k, r, kTellExited);
    }
    if (r.deadline_ns == 0 || now < r.deadline_ns) return;
    r.deadline_ns = 0;
    if (r.phase == Phase::Spawning) {
        if (r.stage == wire::Stage::None && r.pidfd) {
            r.stage = wire::Stage::Timeout;
            r.error = ETIMEDOUT;
        }
        signal_record(k, r, SIGKILL, wire::Scope::Tree);
    } else if (r.phase == Phase::Running && !r.ours && r.pidfd) {
        r.deadline_ns = -1; // nobody reaps it: it is dead, its status unknown
        on_record_exit(k, r, EPOLLIN);
    }
}

} // namespace keepwell::keeper
