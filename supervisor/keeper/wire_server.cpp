// The keeper's end of the link: takes requests, and sends what the records' tell bits ask for as
// long as the socket takes it.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace keepwell::keeper {

namespace {

constexpr int kTurns = 64; // messages taken before others get their turn
constexpr std::int64_t kRetrySendNs = 20'000'000;
constexpr std::size_t kMostFds = wire::kPageSize * 3;
static_assert(kMostFds <= 253); // what one message takes

bool send_message(Keeper& k, void* data, std::size_t size, const int* fds = nullptr,
                  std::size_t count = 0) {
    Supervisor& s = k.supervisor;
    iovec part{data, size};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostFds)];
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    if (count > 0) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        cmsghdr* c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        std::memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    if (sendmsg(s.link.get(), &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    s.send_blocked = true;
    // Too many descriptors in flight or no memory: no event tells when that is over.
    if (errno != EAGAIN) s.retry_send_ns = now_ns() + kRetrySendNs;
    return false;
}

bool send_plain(Keeper& k, wire::Type type) {
    wire::Header h;
    h.type = type;
    h.size = sizeof h;
    return send_message(k, &h, sizeof h);
}

bool send_refusal(Keeper& k) {
    struct {
        wire::Header header;
        char text[sizeof k.upgrade.text];
    } m;
    const std::size_t length = std::strlen(k.upgrade.text);
    m.header.type = wire::Type::UpgradeRefused;
    m.header.size = static_cast<std::uint32_t>(sizeof m.header + length);
    std::memcpy(m.text, k.upgrade.text, length);
    return send_message(k, &m, m.header.size);
}

wire::Report report_of(const Record& r, wire::Type type) {
    wire::Report m;
    m.header.type = type;
    m.header.size = sizeof m;
    m.header.generation = r.generation;
    std::snprintf(m.header.key, sizeof m.header.key, "%s", r.key.text());
    const bool over = r.phase == Phase::Exited;
    m.header.flags = (r.task ? wire::kTask : 0) | (r.leaf ? wire::kLeaf : 0) |
                     (over ? wire::kExited : 0) | (r.exit_known ? wire::kExitKnown : 0) |
                     (r.exit_acked ? wire::kExitAcked : 0) | (r.tree_gone ? wire::kTreeGone : 0) |
                     (r.timed_out ? wire::kTimedOut : 0) | (r.oom ? wire::kOom : 0) |
                     (r.phase == Phase::Failed ? wire::kFailed : 0) |
                     (r.aside ? wire::kLastWords : 0) | r.missing;
    m.pid = r.pid;
    m.start_ticks = r.start_ticks;
    m.started_ns = r.started_ns;
    m.exited_ns = r.exited_ns;
    m.user_us = r.user_us;
    m.system_us = r.system_us;
    m.max_rss_kib = r.max_rss_kib;
    m.wait_status = r.wait_status;
    m.error = r.error;
    m.stage = r.stage;
    m.uid = r.uid;
    return m;
}

bool send_welcome(Keeper& k) {
    wire::WelcomeMessage m;
    m.header.type = wire::Type::Welcome;
    m.header.size = sizeof m;
    if (k.manager.path_length > 0) m.header.flags = wire::kManager;
    m.keeper_pid = getpid();
    m.alive_ms = k.tick_ns * kAliveTicks / 1'000'000;
    std::snprintf(m.cgroup_base, sizeof m.cgroup_base, "%s", k.cgroup_path);
    std::snprintf(m.fleet, sizeof m.fleet, "%s", k.fleet);
    int fds[4];
    for (int i = 0; i < 4; ++i) fds[i] = k.stage_pipes[i].get();
    return send_message(k, &m, sizeof m, fds, 4);
}

// The descriptors of one report, in the wire's order; their flags go into it. Gives how many.
std::size_t attach(const Record& r, wire::Report& report, int* fds) {
    const struct {
        const Fd& fd;
        std::uint32_t flag;
    } all[] = {{r.output, wire::kOutput}, {r.errors, wire::kErrors}, {r.notify, wire::kNotify}};
    std::size_t count = 0;
    for (const auto& one : all) {
        if (!one.fd) continue;
        report.header.flags |= one.flag;
        fds[count++] = one.fd.get();
    }
    return count;
}

bool send_page(Keeper& k) {
    struct {
        wire::PageMessage page;
        wire::Report reports[wire::kPageSize];
    } m;
    int fds[kMostFds];
    std::size_t fd_count = 0;
    std::uint32_t i = k.supervisor.list_from;
    for (; i < k.record_count && m.page.count < wire::kPageSize; ++i) {
        const Record* r = k.records[i];
        if (r == nullptr || r->task) continue;
        wire::Report& entry = m.reports[m.page.count++];
        entry = report_of(*r, wire::Type::Page);
        fd_count += attach(*r, entry, fds + fd_count);
    }
    m.page.next = i < k.record_count ? i : 0;
    m.page.header.type = wire::Type::Page;
    const std::size_t size = sizeof m.page + m.page.count * sizeof(wire::Report);
    m.page.header.size = static_cast<std::uint32_t>(size);
    return send_message(k, &m, size, fds, fd_count);
}

bool send_record(Keeper& k, Record& r) {
    static constexpr struct {
        std::uint32_t bit;
        wire::Type type;
    } kOrder[] = {{kTellSpawned, wire::Type::Spawned},     {kTellFailed, wire::Type::SpawnFailed},
                  {kTellExited, wire::Type::Exited},       {kTellTree, wire::Type::TreeEmpty},
                  {kTellRefused, wire::Type::SpawnFailed}, {kTellMain, wire::Type::MainChanged}};
    for (const auto& o : kOrder) {
        if ((r.tell & o.bit) == 0) continue;
        wire::Report m = report_of(r, o.type);
        int fds[3];
        const std::size_t fd_count = o.bit == kTellSpawned ? attach(r, m, fds) : 0;
        if (o.bit == kTellMain) m.error = r.main_refused;
        if (o.bit == kTellRefused) {
            m.header.generation = r.refused;
            m.stage = wire::Stage::Keeper;
            m.error = EEXIST;
        }
        if (!send_message(k, &m, sizeof m, fds, fd_count)) return false;
        r.tell &= ~o.bit;
        if (r.task && fd_count > 0) r.output.reset(); // the supervisor alone reads it
    }
    return true;
}

bool send_records(Keeper& k) {
    while (k.told != nullptr) {
        Record& r = *k.told;
        if (!send_record(k, r)) return false;
        k.told = r.next_told;
        settle(k, r);
    }
    return true;
}

bool send_all(Keeper& k) {
    Supervisor& s = k.supervisor;
    const auto send_flag = [&](bool& flag, auto send) {
        if (flag && send()) flag = false;
        return !flag;
    };
    return send_flag(s.tell_welcome, [&] { return send_welcome(k); }) &&
           send_flag(s.list_asked, [&] { return send_page(k); }) &&
           send_flag(s.tell_stop, [&] { return send_plain(k, wire::Type::Stop); }) &&
           send_flag(s.tell_reload, [&] { return send_plain(k, wire::Type::Reload); }) &&
           send_flag(s.tell_refused, [&] { return send_refusal(k); }) &&
           send_flag(s.tell_leave, [&] { return send_plain(k, wire::Type::Leave); }) &&
           send_records(k);
}

void refuse(Keeper& k, const wire::Header& h, wire::Stage stage, int error) {
    wire::Report m;
    m.header = h;
    m.header.type = wire::Type::SpawnFailed;
    m.header.size = sizeof m;
    m.header.flags = wire::kFailed;
    m.stage = stage;
    m.error = error;
    // A supervisor that does not read what it asked for loses this one; LIST tells it the rest.
    send_message(k, &m, sizeof m);
}

bool valid_body(const unsigned char* body, std::size_t size) {
    wire::Body b;
    if (size < sizeof b) return false;
    std::memcpy(&b, body, sizeof b);
    if (b.argc == 0 || b.groups > 65536) return false;
    const std::size_t text = sizeof b + std::size_t{b.groups} * 4;
    if (size <= text || body[size - 1] != '\0') return false;
    std::uint64_t strings = 0;
    for (std::size_t i = text; i < size; ++i) strings += body[i] == '\0' ? 1 : 0;
    const std::uint64_t fixed = b.output == wire::OutputMode::File ? 4 : 2;
    return strings == b.argc + fixed + b.envc &&
           std::strlen(reinterpret_cast<const char*>(body + text)) < wire::kMarkSize;
}

void start(Keeper& k, const wire::SpawnMessage& m, const unsigned char* body, std::size_t size) {
    const bool task = m.header.type == wire::Type::Task;
    const char* key = m.header.key;
    const bool bad_key = task ? m.header.generation == 0 || key[0] != '\0'
                              : key[0] == '\0' || key[0] == '.' || std::strchr(key, '/') != nullptr;
    if (bad_key || !valid_body(body, size)) return refuse(k, m.header, wire::Stage::Keeper, EINVAL);
    if (k.stopping_alone) return refuse(k, m.header, wire::Stage::Keeper, ESHUTDOWN);
    Record* old = task ? find_task(k, m.header.generation) : find(k, key);
    if (old != nullptr) {
        const bool same = old->generation == m.header.generation;
        if (same && old->phase != Phase::Failed) { // asked twice: the answer is the record
            if (old->phase == Phase::Running) tell(k, *old, kTellSpawned);
            if (old->phase == Phase::Exited) tell(k, *old, kTellExited);
            return;
        }
        if (old->phase != Phase::Failed && (old->phase != Phase::Exited || !old->exit_acked)) {
            if (old->phase == Phase::Exited) tell(k, *old, kTellExited);
            old->refused = m.header.generation;
            return tell(k, *old, kTellRefused);
        }
        free_record(k, *old);
    }
    Record* r = add_record(k, key, task, m.header.generation);
    if (r == nullptr) return refuse(k, m.header, wire::Stage::Keeper, ENOMEM);
    spawn(k, *r, body, size, m);
}

void start_from(Keeper& k, const unsigned char* data, std::size_t size, int memfd) {
    wire::SpawnMessage m;
    std::memcpy(&m, data, sizeof m);
    if (memfd < 0) {
        const bool whole = m.body_size == size - sizeof m;
        start(k, m, data + sizeof m, whole ? m.body_size : 0);
        return;
    }
    // Sealed, so that the sender cannot change or shorten what is being read.
    constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat st {};
    const int seals = fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || (seals & kSeals) != kSeals || m.body_size == 0 ||
        m.body_size > wire::kMaxBody || fstat(memfd, &st) != 0 || st.st_size != m.body_size)
        return refuse(k, m.header, wire::Stage::Keeper, EINVAL);
    void* map = mmap(nullptr, m.body_size, PROT_READ, MAP_PRIVATE, memfd, 0);
    if (map == MAP_FAILED) return refuse(k, m.header, wire::Stage::Keeper, errno);
    start(k, m, static_cast<const unsigned char*>(map), m.body_size);
    munmap(map, m.body_size);
}

void take_ack(Keeper& k, const wire::Header& h) {
    Record* r = find(k, h.key);
    if (r == nullptr || r->generation != h.generation) return;
    if (r->phase == Phase::Failed && (h.flags & wire::kAckFailure) != 0) {
        r->exit_acked = true;
        settle(k, *r);
        return;
    }
    if (r->phase != Phase::Exited) return;
    if ((h.flags & wire::kAckExit) != 0 && !r->exit_acked) {
        r->exit_acked = true;
        save(k, *r);
    }
    if ((h.flags & wire::kAckTree) != 0 && r->tree_gone && r->exit_acked) free_record(k, *r);
}

void greet(Keeper& k) {
    Supervisor& s = k.supervisor;
    s.greeted = true;
    s.tell_welcome = true;
    s.tell_stop = s.tell_stop || k.stopping;
    s.tell_leave = k.upgrade.agreed;
}

void take_alive(Keeper& k) {
    Supervisor& s = k.supervisor;
    s.watchdog = true;
    s.silent_ticks = kQuietTicks - 1;
    s.next_tick_ns = now_ns() + kQuietTicks * k.tick_ns;
    note_oom(k);
}

template <class T>
bool read_as(T& out, const unsigned char* data, std::size_t size) {
    if (size != sizeof out) return false;
    std::memcpy(&out, data, sizeof out);
    return true;
}

bool take_signal(Keeper& k, const unsigned char* data, std::size_t size) {
    wire::SignalMessage m;
    if (!read_as(m, data, size)) return false;
    const bool task = (m.header.flags & wire::kTask) != 0;
    Record* r = task ? find_task(k, m.header.generation) : find(k, m.header.key);
    if (r != nullptr && r->generation == m.header.generation) {
        signal_record(k, *r, m.signal, m.scope);
        check_tree(k, *r);
    }
    return true;
}

bool take_notice(Keeper& k, const unsigned char* data, std::size_t size) {
    char text[wire::kMaxNotice + 1] = {};
    size -= sizeof(wire::Header);
    if (size > wire::kMaxNotice) return false;
    std::memcpy(text, data + sizeof(wire::Header), size);
    tell_manager(k, text);
    return true;
}

bool take_main(Keeper& k, const unsigned char* data, std::size_t size) {
    wire::MainPidMessage m;
    if (!read_as(m, data, size)) return false;
    Record* r = find(k, m.header.key);
    if (r != nullptr && r->generation == m.header.generation) change_main(k, *r, m);
    return true;
}

bool take(Keeper& k, const wire::Header& h, const unsigned char* data, std::size_t size, int fd) {
    Supervisor& s = k.supervisor;
    if (!s.greeted && h.type != wire::Type::Hello) return false;
    if (s.finished && h.type != wire::Type::Notify) return true; // it has said its last word
    wire::ListMessage list;
    wire::FinishedMessage finished;
    switch (h.type) {
    case wire::Type::Hello: greet(k); return true;
    case wire::Type::Alive: take_alive(k); return true;
    case wire::Type::Ack: take_ack(k, h); return true;
    case wire::Type::Signal: return take_signal(k, data, size);
    case wire::Type::Notify: return take_notice(k, data, size);
    case wire::Type::MainPid: return take_main(k, data, size);
    case wire::Type::Upgrade: begin_upgrade(k); return true;
    case wire::Type::Spawn:
    case wire::Type::Task:
        if (size < sizeof(wire::SpawnMessage)) return false;
        start_from(k, data, size, fd);
        return true;
    case wire::Type::List:
        if (!read_as(list, data, size)) return false;
        s.list_asked = true;
        s.list_from = list.from;
        return true;
    case wire::Type::Finished:
        if (!read_as(finished, data, size)) return false;
        s.finished = true;
        s.left = finished.leave != 0;
        s.exit_code = finished.exit_code;
        s.kill_at_ns = now_ns() + 5'000'000'000;
        return true;
    case wire::Type::Welcome:
    case wire::Type::Spawned:
    case wire::Type::SpawnFailed:
    case wire::Type::Exited:
    case wire::Type::TreeEmpty:
    case wire::Type::Page:
    case wire::Type::Stop:
    case wire::Type::Reload:
    case wire::Type::MainChanged:
    case wire::Type::Leave:
    case wire::Type::UpgradeRefused: return false;
    }
    return false;
}

void lose(Keeper& k, const char* why) {
    if (why != nullptr) say("the supervisor (pid %d) %s", k.supervisor.pid, why);
    drop_link(k);
    if (k.supervisor.kill_at_ns == 0) k.supervisor.kill_at_ns = now_ns() + 5'000'000'000;
}

bool receive(Keeper& k) {
    alignas(16) unsigned char data[wire::kMaxMessage];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec part{data, sizeof data};
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    const ssize_t n = recvmsg(k.supervisor.link.get(), &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) {
        lose(k, nullptr);
        return false;
    }
    Fd fd;
    const cmsghdr* c = CMSG_FIRSTHDR(&m);
    if (c != nullptr && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int))) {
        int raw = -1;
        std::memcpy(&raw, CMSG_DATA(c), sizeof raw);
        fd.reset(raw);
    }
    wire::Header h;
    const auto size = static_cast<std::size_t>(n);
    if (size >= sizeof h) std::memcpy(&h, data, sizeof h);
    h.key[wire::kKeySize - 1] = '\0';
    std::memcpy(data, &h, size >= sizeof h ? sizeof h : 0);
    if (size < sizeof h || h.magic != wire::kMagic || h.version != wire::kVersion ||
        h.size != size || (m.msg_flags & MSG_TRUNC) != 0 || !take(k, h, data, size, fd.get())) {
        lose(k, "does not speak our language");
        return false;
    }
    return static_cast<bool>(k.supervisor.link);
}

} // namespace

void on_link(Keeper& k, std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) k.supervisor.send_blocked = false;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    for (int i = 0; i < kTurns && receive(k); ++i) {
    }
}

void flush(Keeper& k) {
    Supervisor& s = k.supervisor;
    if (!s.link || !s.greeted) return;
    // Blocked before this call too: a refusal is sent at once and may have met a full socket.
    const bool all = !s.send_blocked && send_all(k);
    const bool wait_writable = !all && s.retry_send_ns == 0;
    if (wait_writable != s.waits_writable) {
        s.waits_writable = wait_writable;
        watch(k, s.link.get(), EPOLLIN | (wait_writable ? EPOLLOUT : 0U), Source::Link, 0, s.serial,
              true);
    }
}

// What was not sent is forgotten: the next supervisor lists the records.
void drop_link(Keeper& k) {
    Supervisor& s = k.supervisor;
    unwatch(k, s.link);
    s.greeted = s.send_blocked = s.waits_writable = s.list_asked = false;
    s.tell_welcome = s.tell_reload = s.tell_leave = s.tell_refused = s.watchdog = false;
    s.retry_send_ns = 0;
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r == nullptr) continue;
        untell(k, *r);
        if (r->task && r->phase != Phase::Exited) signal_record(k, *r, SIGKILL, wire::Scope::Tree);
        if (r->phase == Phase::Failed) r->exit_acked = true; // its intent is gone with its asker
        settle(k, *r);
    }
}

} // namespace keepwell::keeper
