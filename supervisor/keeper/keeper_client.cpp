#include "supervisor/keeper/keeper_client.h"

#include "supervisor/keeper/keeper_tasks.h"
#include "supervisor/keeper/link.h"
#include "supervisor/keeper/proc.h"
#include "supervisor/keeper/spawn_body.h"
#include "supervisor/keeper/survivors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace keepwell {

namespace {

constexpr std::size_t kMaxSurvivors = 64;

constexpr std::uint32_t kNoLimits = wire::kNoMemoryLimit | wire::kNoCpuLimit | wire::kNoPidsLimit;

struct Instance {
    Generation generation = 0;
    std::int64_t pid = 0;
    bool wanted = false;                                 // asked for here, not answered yet
    bool announced = false;                              // the listener knows that it lives
    bool output = false, errors = false, notify = false; // handed on
    std::uint32_t uid = 0;
    bool leaf = false;
    std::uint32_t missing = 0; // kNo…Limit
    bool exited = false;
    bool tree_gone = false;
};

void call(const std::function<void()>& hook) {
    if (hook) hook();
}

struct Unsent { // spawns that failed before they reached the keeper
    std::string key;
    Generation generation = 0;
    int error = 0;
};

template <class T>
std::optional<T> read_message(const Received& in) {
    T m;
    if (in.data.size() < sizeof m) return std::nullopt;
    std::memcpy(&m, in.data.data(), sizeof m);
    m.header.key[wire::kKeySize - 1] = '\0';
    return m;
}

wire::Scope scope_of(SignalScope scope) {
    switch (scope) {
    case SignalScope::Process: return wire::Scope::Process;
    case SignalScope::Group: return wire::Scope::Group;
    case SignalScope::Tree: return wire::Scope::Tree;
    }
    return wire::Scope::Process;
}

struct Ends { // what rides along with a report
    UniqueFd output, errors, notify;
};

// Takes one report's descriptors, in the wire's order.
Ends take_ends(const wire::Report& m, std::vector<UniqueFd>& fds, std::size_t& next) {
    const auto one = [&](std::uint32_t flag) {
        const bool there = (m.header.flags & flag) != 0 && next < fds.size();
        return there ? std::move(fds[next++]) : UniqueFd();
    };
    Ends e;
    e.output = one(wire::kOutput);
    e.errors = one(wire::kErrors);
    e.notify = one(wire::kNotify);
    return e;
}

} // namespace

struct KeeperClient::Impl {
    Impl(uv::Loop& loop, const Clock& clock, int fd, Hooks h)
        : hooks(std::move(h)),
          link(
              loop, fd, [this](Received& in) { on_message(in); }, [this] { on_lost(); }),
          tasks(loop, clock, link),
          unsent_timer(loop, [this] { report_unsent(); }) {}

    template <class T>
    void send(T& m, wire::Type type) {
        m.header.type = type;
        m.header.size = sizeof m;
        link.send(message_bytes(&m, sizeof m));
    }
    void send_plain(wire::Type type) {
        wire::Header h;
        h.type = type;
        h.size = sizeof h;
        link.send(message_bytes(&h, sizeof h));
    }
    void name(wire::Header& h, const std::string& key, Generation generation) const {
        std::memcpy(h.key, key.data(), std::min(key.size(), sizeof h.key - 1));
        h.generation = generation;
    }
    void send_ack(const std::string& key, Generation generation, std::uint32_t flags) {
        wire::Header h;
        name(h, key, generation);
        h.flags = flags;
        h.type = wire::Type::Ack;
        h.size = sizeof h;
        link.send(message_bytes(&h, sizeof h));
    }

    void on_message(Received& in);
    void on_lost() { call(hooks.on_lost); }
    void welcome(const wire::WelcomeMessage&, Received&);
    void page(Received&);
    void adopt(const wire::Report&, Ends);
    void report(const wire::Report&, Received&);
    void spawned(const wire::Report&, Ends);
    void main_changed(const wire::Report&);
    void spawn_failed(const wire::Report&);
    void exited(const wire::Report&);
    void tree_empty(const wire::Report&);
    void give(const std::string& key, Instance&, Ends);
    std::string leaf_path(const std::string& key) const;
    void report_unsent();

    Hooks hooks;
    ProcessListener* listener = nullptr;
    std::unordered_map<std::string, Instance> instances;
    // Ended and acknowledged before the list came: its page may still hold them.
    std::map<std::string, Generation> done_early;
    bool listed = false;
    std::vector<Unsent> unsent;
    std::string cgroup_base, fleet;
    std::int64_t keeper_pid = 0, alive_ms = 5000;
    bool manager = false;
    std::string log_dir;
    Link link;
    KeeperTasks tasks;
    uv::Timer unsent_timer;
};

void KeeperClient::Impl::on_message(Received& in) {
    wire::Header h;
    std::memcpy(&h, in.data.data(), sizeof h);
    switch (h.type) {
    case wire::Type::Welcome:
        if (const auto m = read_message<wire::WelcomeMessage>(in)) welcome(*m, in);
        return;
    case wire::Type::Page: return page(in);
    case wire::Type::Spawned:
    case wire::Type::SpawnFailed:
    case wire::Type::Exited:
    case wire::Type::TreeEmpty:
    case wire::Type::MainChanged:
        if (const auto m = read_message<wire::Report>(in)) report(*m, in);
        return;
    case wire::Type::Stop: return call(hooks.on_stop_requested);
    case wire::Type::Reload: return call(hooks.on_reload_requested);
    case wire::Type::Leave: return call(hooks.on_leave_requested);
    case wire::Type::UpgradeRefused:
        if (hooks.on_upgrade_refused)
            hooks.on_upgrade_refused(
                std::string(reinterpret_cast<const char*>(in.data.data()) + sizeof h,
                            in.data.size() - sizeof h));
        return;
    case wire::Type::Hello:
    case wire::Type::Spawn:
    case wire::Type::Task:
    case wire::Type::Signal:
    case wire::Type::Ack:
    case wire::Type::List:
    case wire::Type::Alive:
    case wire::Type::Finished:
    case wire::Type::Notify:
    case wire::Type::MainPid:
    case wire::Type::Upgrade: return;
    }
}

void KeeperClient::Impl::welcome(const wire::WelcomeMessage& m, Received& in) {
    keeper_pid = m.keeper_pid;
    if (m.alive_ms > 0) alive_ms = m.alive_ms;
    manager = (m.header.flags & wire::kManager) != 0;
    cgroup_base.assign(m.cgroup_base, ::strnlen(m.cgroup_base, sizeof m.cgroup_base));
    fleet.assign(m.fleet, ::strnlen(m.fleet, sizeof m.fleet));
    std::vector<StagePipe> pipes;
    for (std::size_t i = 0; i + 1 < in.fds.size(); i += 2)
        pipes.push_back({in.fds[i].release(), in.fds[i + 1].release()});
    if (hooks.on_connected)
        hooks.on_connected(std::move(pipes));
    else
        for (const StagePipe& p : pipes) UniqueFd(p.read), UniqueFd(p.write);
}

void KeeperClient::Impl::page(Received& in) {
    const auto head = read_message<wire::PageMessage>(in);
    if (!head || in.data.size() != sizeof *head + head->count * sizeof(wire::Report)) return;
    // Copied: what a callback does may bring the buffer into use again.
    std::vector<wire::Report> reports(head->count);
    if (!reports.empty())
        std::memcpy(reports.data(), in.data.data() + sizeof *head,
                    reports.size() * sizeof(wire::Report));
    std::size_t next_fd = 0;
    for (wire::Report& m : reports) {
        m.header.key[wire::kKeySize - 1] = '\0';
        adopt(m, take_ends(m, in.fds, next_fd));
    }
    if (head->next == 0) {
        listed = true;
        done_early.clear();
        if (listener != nullptr) listener->on_list_complete();
        return;
    }
    wire::ListMessage m;
    m.from = head->next;
    send(m, wire::Type::List);
}

void KeeperClient::Impl::adopt(const wire::Report& m, Ends ends) {
    const std::string key = m.header.key;
    if ((m.header.flags & wire::kFailed) != 0) return spawn_failed(m);
    if ((m.header.flags & wire::kLastWords) != 0) { // another instance may have the name by now
        Instance gone;
        gone.generation = m.header.generation;
        return give(key, gone, std::move(ends));
    }
    const auto done = done_early.find(key);
    if (done != done_early.end() && done->second == m.header.generation) return;
    Instance& i = instances[key];
    if (i.generation == m.header.generation && i.announced) return; // met by an event already
    i = Instance{};
    i.generation = m.header.generation;
    i.pid = m.pid;
    i.uid = m.uid;
    i.leaf = (m.header.flags & wire::kLeaf) != 0;
    i.missing = m.header.flags & kNoLimits;
    give(key, i, std::move(ends));
    if ((m.header.flags & wire::kExitAcked) == 0) {
        i.announced = true;
        if (listener != nullptr)
            listener->on_adopted(key, m.header.generation, m.pid,
                                 Instant(std::chrono::nanoseconds(m.started_ns)));
        if ((m.header.flags & wire::kExited) != 0) exited(m);
    } else {
        exited(m); // of left-overs: said again, or who hears it would take them for gone
    }
    if ((m.header.flags & wire::kTreeGone) != 0) tree_empty(m);
}

void KeeperClient::Impl::report(const wire::Report& m, Received& in) {
    if ((m.header.flags & wire::kTask) != 0 || m.header.key[0] == '\0')
        return tasks.on_report(m, in);
    std::size_t next_fd = 0;
    if (m.header.type == wire::Type::Spawned) return spawned(m, take_ends(m, in.fds, next_fd));
    if (m.header.type == wire::Type::SpawnFailed) return spawn_failed(m);
    const auto it = instances.find(m.header.key);
    if (it == instances.end() || it->second.generation != m.header.generation) return; // LIST tells
    if (m.header.type == wire::Type::Exited) return exited(m);
    if (m.header.type == wire::Type::MainChanged) return main_changed(m);
    tree_empty(m);
}

void KeeperClient::Impl::give(const std::string& key, Instance& i, Ends ends) {
    if (ends.output && !std::exchange(i.output, true) && hooks.on_output)
        hooks.on_output(key, i.generation, ends.output.release());
    if (ends.errors && !std::exchange(i.errors, true) && hooks.on_errors)
        hooks.on_errors(key, i.generation, ends.errors.release());
    if (ends.notify && !std::exchange(i.notify, true) && hooks.on_notify)
        hooks.on_notify(key, i.generation, ends.notify.release());
}

void KeeperClient::Impl::main_changed(const wire::Report& m) {
    const std::string key = m.header.key;
    instances[key].pid = m.pid;
    if (m.error == 0) instances[key].exited = false; // of a command that left a daemon behind
    if (hooks.on_main) hooks.on_main(key, m.header.generation, m.pid, m.error);
}

std::string KeeperClient::Impl::leaf_path(const std::string& key) const {
    char leaf[wire::kKeySize + 16];
    proc::leaf_name(key.c_str(), 0, leaf);
    return cgroup_base + "/" + leaf;
}

void KeeperClient::Impl::spawned(const wire::Report& m, Ends ends) {
    const std::string key = m.header.key;
    Instance& i = instances[key];
    if (i.generation != m.header.generation) {
        i = Instance{};
        i.generation = m.header.generation;
        i.wanted = true; // asked for by a predecessor, before LIST came to it
    }
    i.pid = m.pid;
    i.uid = m.uid;
    i.leaf = (m.header.flags & wire::kLeaf) != 0;
    i.missing = m.header.flags & kNoLimits;
    give(key, i, std::move(ends));
    i.announced = true;
    const bool wanted = std::exchange(i.wanted, false);
    if (wanted && listener != nullptr) listener->on_spawned(key, m.header.generation, m.pid);
}

void KeeperClient::Impl::spawn_failed(const wire::Report& m) {
    const std::string key = m.header.key;
    const Generation generation = m.header.generation;
    const auto it = instances.find(key);
    const bool adopted =
        it != instances.end() && it->second.generation == generation && it->second.announced;
    if (it != instances.end() && it->second.generation == generation) instances.erase(it);
    send_ack(key, generation, wire::kAckFailure);
    if (listener == nullptr) return;
    if (!adopted) {
        listener->on_spawn_failed(key, generation, stage_of(m.stage), m.error, "");
        return;
    }
    // Listed as alive between its clone and its exec: for the listener it lived and ended.
    ExitStatus status;
    status.known = true;
    status.code = 127;
    listener->on_exited(key, generation, status);
    listener->on_tree_empty(key, generation);
}

void KeeperClient::Impl::exited(const wire::Report& m) {
    Instance& i = instances[m.header.key];
    i.exited = true;
    if (listener != nullptr) listener->on_exited(m.header.key, m.header.generation, status_of(m));
}

void KeeperClient::Impl::tree_empty(const wire::Report& m) {
    Instance& i = instances[m.header.key];
    i.tree_gone = true;
    if (listener != nullptr) listener->on_tree_empty(m.header.key, m.header.generation);
}

void KeeperClient::Impl::report_unsent() {
    for (const Unsent& u : std::exchange(unsent, {}))
        if (listener != nullptr)
            listener->on_spawn_failed(u.key, u.generation, SpawnStage::Prepare, u.error, "");
}

KeeperClient::KeeperClient(uv::Loop& loop, const Clock& clock, int fd, Hooks hooks)
    : impl_(std::make_unique<Impl>(loop, clock, fd, std::move(hooks))) {}
KeeperClient::~KeeperClient() = default;

void KeeperClient::start() {
    impl_->link.start();
    impl_->send_plain(wire::Type::Hello);
    wire::ListMessage m;
    impl_->send(m, wire::Type::List);
}

void KeeperClient::alive() { impl_->send_plain(wire::Type::Alive); }

void KeeperClient::upgrade() { impl_->send_plain(wire::Type::Upgrade); }

void KeeperClient::finished(int exit_code, bool leave) {
    wire::FinishedMessage m;
    m.exit_code = exit_code;
    m.leave = leave ? 1 : 0;
    impl_->send(m, wire::Type::Finished);
}

void KeeperClient::notify(const std::string& text) {
    if (!impl_->manager || text.size() > wire::kMaxNotice) return;
    wire::Header h;
    h.type = wire::Type::Notify;
    h.size = static_cast<std::uint32_t>(sizeof h + text.size());
    impl_->link.send(message_bytes(&h, sizeof h) + text);
}

bool KeeperClient::has_manager() const { return impl_->manager; }
Duration KeeperClient::alive_interval() const { return std::chrono::milliseconds(impl_->alive_ms); }
bool KeeperClient::flushed() const { return impl_->link.flushed(); }
std::int64_t KeeperClient::keeper_pid() const { return impl_->keeper_pid; }
void KeeperClient::set_log_directory(std::string directory) {
    impl_->log_dir = std::move(directory);
}
void KeeperClient::set_listener(ProcessListener* listener) { impl_->listener = listener; }

void KeeperClient::spawn(const UnitSpec& spec, Generation generation) {
    Impl& d = *impl_;
    SpawnBody body =
        spawn_body(spec.process, spec.key, "", output_of(spec.log, spec.key, d.log_dir),
                   {has_notify_socket(spec), heartbeat_within(spec)});
    if (spec.key.empty() || spec.key.size() >= wire::kKeySize) body.error = ENAMETOOLONG;
    if (body.error != 0) {
        d.unsent.push_back({spec.key, generation, body.error});
        d.unsent_timer.start(0);
        return;
    }
    wire::SpawnMessage m;
    m.header.type = wire::Type::Spawn;
    m.header.size = static_cast<std::uint32_t>(sizeof m + body.bytes.size());
    d.name(m.header, spec.key, generation);
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(spec.start_timeout);
    m.exec_timeout_ms =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(limit.count(), 100, 3'600'000));
    m.body_size = body.size;
    // An older instance stays known until the keeper says that this one took its place.
    Instance& i = d.instances[spec.key];
    if (i.generation == generation || i.generation == 0) {
        i.generation = generation;
        i.wanted = true;
    }
    d.link.send(message_bytes(&m, sizeof m) + body.bytes, std::move(body.memfd));
}

void KeeperClient::signal(const std::string& key, Generation generation, int signal,
                          SignalScope scope) {
    wire::SignalMessage m;
    impl_->name(m.header, key, generation);
    m.signal = signal;
    m.scope = scope_of(scope);
    impl_->send(m, wire::Type::Signal);
}

void KeeperClient::set_main(const std::string& key, Generation generation, std::int64_t pid) {
    wire::MainPidMessage m;
    impl_->name(m.header, key, generation);
    proc::Stat stat;
    m.pid = pid;
    if (proc::read_stat(static_cast<pid_t>(pid), stat)) m.start_ticks = stat.start_ticks;
    impl_->send(m, wire::Type::MainPid);
}

std::optional<KeeperClient::Tree> KeeperClient::tree(const std::string& key) const {
    const auto it = impl_->instances.find(key);
    if (it == impl_->instances.end()) return std::nullopt;
    return Tree{it->second.pid, it->second.uid, it->second.leaf ? impl_->leaf_path(key) : "",
                impl_->fleet};
}

void KeeperClient::ack(const std::string& key, Generation generation) {
    const auto it = impl_->instances.find(key);
    if (it == impl_->instances.end() || it->second.generation != generation) return;
    const Instance& i = it->second;
    if (!i.exited) return;
    impl_->send_ack(key, generation, wire::kAckExit | (i.tree_gone ? wire::kAckTree : 0U));
    if (!i.tree_gone) return;
    if (!impl_->listed) impl_->done_early[key] = generation;
    impl_->instances.erase(it);
}

std::vector<Survivor> KeeperClient::survivors(const std::string& key) {
    const auto it = impl_->instances.find(key);
    if (it == impl_->instances.end()) return {};
    std::vector<Survivor> out;
    for (const pid_t pid : it->second.leaf ? leaf_tree(impl_->leaf_path(key))
                                           : marked_tree(key, impl_->fleet, it->second.pid)) {
        proc::Stat stat;
        if (out.size() == kMaxSurvivors) break;
        if (!proc::read_stat(pid, stat) || stat.state == 'Z' || stat.state == 'X') continue;
        out.push_back({pid, stat.state, stat.name});
    }
    return out;
}

std::string KeeperClient::cgroup_of(const std::string& key) const {
    if (!owns_tree(key) || impl_->cgroup_base.empty()) return {};
    return impl_->leaf_path(key);
}

std::vector<std::string> KeeperClient::missing_limits(const std::string& key) const {
    std::vector<std::string> names;
    const auto it = impl_->instances.find(key);
    if (it == impl_->instances.end()) return names;
    const std::uint32_t missing = it->second.missing;
    if ((missing & wire::kNoMemoryLimit) != 0) names.emplace_back("memory");
    if ((missing & wire::kNoCpuLimit) != 0) names.emplace_back("cpu");
    if ((missing & wire::kNoPidsLimit) != 0) names.emplace_back("pids");
    return names;
}

bool KeeperClient::owns_tree(const std::string& key) const {
    const auto it = impl_->instances.find(key);
    return it != impl_->instances.end() && it->second.leaf;
}

TaskId KeeperClient::run(const TaskRequest& request, std::function<void(TaskResult)> done) {
    return impl_->tasks.run(request, std::move(done));
}
void KeeperClient::cancel(TaskId id) noexcept { impl_->tasks.cancel(id); }

} // namespace keepwell
