#include "supervisor/hosts/daemon_host.h"

#include "actions/process_handle.h"
#include "supervisor/hosts/daemon.h"
#include "supervisor/hosts/pidfd_exit.h"
#include "units/reason.h"
#include "watchers/procfs.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>

namespace keepwell {

namespace {

// A successor may be writing its PID.
constexpr auto kSuccessor = 500ms;
constexpr auto kLeftOvers = 100ms;
constexpr int kReapTries = 5; // after 1, 2, 4, 8 and 16 ms
constexpr auto kFamily = 10s;

} // namespace

DaemonHost::DaemonHost(Ports ports)
    : p_(std::move(ports)), folders_(p_.loop, [this](const std::string& path) {
          for (const auto& [key, d] : daemons_)
              if (d->spec.pidfile == path || d->folder == path) look_later(key);
      }) {
    p_.services.set_services_watcher([this] { look_at_services(); });
}

DaemonHost::~DaemonHost() {
    for (auto& [key, d] : daemons_) d->cancel(p_.timers, p_.offload);
}

void DaemonHost::set_listeners(ProcessListener* processes, SightListener* sights) {
    processes_ = processes;
    sights_ = sights;
}

DaemonHost::Daemon* DaemonHost::find(const std::string& key) const {
    const auto it = daemons_.find(key);
    return it == daemons_.end() ? nullptr : it->second.get();
}

void DaemonHost::again(Daemon& d, Duration after) {
    p_.timers.cancel(d.again);
    d.again = p_.timers.arm(p_.clock.now() + after, [this, key = d.spec.key] {
        if (Daemon* one = find(key)) one->again = 0;
        search(key);
    });
}

// Several events of one change are one look.
void DaemonHost::look_later(const std::string& key) {
    if (Daemon* d = find(key)) again(*d, 20ms);
}

// ---- watching

void DaemonHost::watch(const UnitSpec& spec) {
    auto& d = daemons_[spec.key];
    const bool fresh = d == nullptr;
    if (fresh) d = std::make_unique<Daemon>();
    const bool moved = d->spec.pidfile != spec.pidfile || !(d->spec.match == spec.match);
    const bool other_owner = d->spec.service != spec.service;
    d->spec = spec;
    if (other_owner) {
        d->owner = d->owner_of(d->main);
        if (!d->owner.empty()) p_.services.attend_service(d->owner);
    }
    d->folder = spec.pidfile.substr(0, spec.pidfile.rfind('/'));
    if (listed_ && (fresh || moved)) look_later(spec.key);
}

void DaemonHost::forget(const std::string& key) {
    Daemon* d = find(key);
    if (d == nullptr) return;
    d->cancel(p_.timers, p_.offload);
    daemons_.erase(key);
}

void DaemonHost::search(const std::string& key) {
    Daemon* d = find(key);
    if (d == nullptr || !listed_) return;
    if (!d->spec.pidfile.empty() && !folders_.watches(d->folder))
        d->unwatched = !folders_.add(d->folder);
    if (d->searching != 0) {
        d->search_again = true;
        return;
    }
    auto sight = std::make_shared<MainSight>();
    const auto done = [this, key, sight] {
        Daemon* one = find(key);
        if (one == nullptr) return;
        one->searching = 0;
        if (std::exchange(one->search_again, false)) look_later(key);
        found(*one, *sight);
    };
    if (d->spec.kind == UnitKind::PidFile) {
        PidFileQuery query;
        query.path = d->spec.pidfile;
        query.uid = d->spec.process.user ? d->spec.process.user->uid : geteuid();
        query.keeper = p_.keeper_pid();
        d->searching = p_.offload.run(
            Offload::Lane::Disk, [query, sight] { *sight = read_pid_file(query); }, done);
    } else {
        d->searching = p_.offload.run(
            Offload::Lane::Proc,
            [table = table_, spec = d->spec.match, now = p_.clock.now(), sight] {
                *sight = find_match(*table, spec, now);
            },
            done);
    }
}

void DaemonHost::found(Daemon& d, const MainSight& sight) {
    d.why = sight.why;
    if (sight.pid != 0) d.owner = d.owner_of(sight);
    switch (d.phase) {
    case Phase::Command:
    case Phase::Awaiting: return found_while_starting(d, sight);
    case Phase::Kept:
    case Phase::Held:
        if (d.spec.kind == UnitKind::Match && !d.ended) return; // any of them is as good
        if (sight.pid != 0 && !d.is(sight)) return take(d, sight);
        if (!d.ended) return;
        // The file still names the dead one: nobody has taken its place.
        if (!sight.unsettled || p_.clock.now() - *d.ended >= kSuccessor) return report_end(d);
        return again(d, kLookAgain);
    case Phase::LeftOvers: return;
    case Phase::Away:
        if (sight.pid != 0) return take(d, sight);
        if (d.spec.kind == UnitKind::Match || d.unwatched) again(d, kLookForMatches);
        if (owner_judges(d) && !d.told_absent) return ask_owner(d.spec.key);
        if (!std::exchange(d.told_absent, true))
            sights_->on_absent(d.spec.key, false, ExitStatus{}, sight.why);
        return;
    }
}

// It runs: of the keeper's instance it becomes the main process, else it is held by a pidfd.
void DaemonHost::take(Daemon& d, const MainSight& sight) {
    if (d.candidate) return; // the keeper has not answered yet
    if (d.generation == 0) return hold(d, sight);
    d.candidate = sight;
    p_.set_main(d.spec.key, d.generation, sight.pid);
}

bool DaemonHost::on_main(const std::string& key, Generation g, std::int64_t pid, int error) {
    Daemon* d = find(key);
    if (d == nullptr) return false;
    if (g != d->generation || !d->candidate) return true;
    const MainSight sight = *std::exchange(d->candidate, std::nullopt);
    // Not of this unit's tree, or that is gone: somebody else started it. Or it has ended
    // meanwhile.
    if (error != 0 || pid != sight.pid) {
        hold(*d, sight);
        return true;
    }
    const bool starts = d->starting.has_value();
    d->set(Phase::Kept, sight);
    p_.timers.cancel(std::exchange(d->deadline, 0));
    const Instant began = began_at(sight.start_ticks);
    if (starts)
        sights_->on_started(key, *std::exchange(d->starting, std::nullopt), sight.pid, began);
    else
        sights_->on_appeared(key, sight.pid, began, d->describe());
    return true;
}

void DaemonHost::hold(Daemon& d, const MainSight& sight) {
    const std::string key = d.spec.key;
    auto handle = ProcessHandle::open(sight.pid, sight.start_ticks);
    if (!handle) return again(d, kLookAgain);
    if (d.ended && d.generation != 0) { // its predecessor was the keeper's
        p_.keeper.ack(key, d.generation);
        if (d.tree_gone) d.generation = 0;
    }
    d.set(Phase::Held, sight);
    if (!d.owner.empty()) p_.services.attend_service(d.owner);
    p_.timers.cancel(std::exchange(d.deadline, 0));
    d.handle = std::move(handle);
    d.poll = std::make_unique<uv::Poll>(p_.loop, d.handle.fd(), [this, key](int, int) {
        Daemon* one = find(key);
        if (one == nullptr || !one->poll) return;
        one->poll->stop();
        await_status(key, kReapTries);
    });
    d.poll->start(UV_READABLE);
    sample_family(key);
    d.seen = true;
    d.blinded = false;
    if (blind(d)) return tell_blind(d);
    const Instant began = began_at(sight.start_ticks);
    if (d.starting)
        sights_->on_started(key, *std::exchange(d.starting, std::nullopt), sight.pid, began);
    else
        sights_->on_appeared(key, sight.pid, began, d.describe());
}

// The kernel tells how it ended once its parent has reaped it, which is not we.
void DaemonHost::await_status(const std::string& key, int tries) {
    Daemon* d = find(key);
    if (d == nullptr || d->phase != Phase::Held || d->ended) return;
    const PidfdExit exit = exit_of_pidfd(d->handle.fd());
    if (!exit.later || tries == 0) return main_ended(*d, exit.status);
    p_.timers.cancel(d->family_timer);
    d->family_timer = p_.timers.arm(p_.clock.now() + 1ms * (1 << (kReapTries - tries)),
                                    [this, key, tries] { await_status(key, tries - 1); });
}

// Who belongs to it is asked while it lives; afterwards nobody could tell.
void DaemonHost::sample_family(const std::string& key) {
    Daemon* d = find(key);
    if (d == nullptr || d->phase != Phase::Held || d->ended) return;
    p_.timers.cancel(std::exchange(d->family_timer, 0));
    auto family = std::make_shared<std::vector<Relative>>();
    d->sampling = p_.offload.run(
        Offload::Lane::Proc, [pid = d->main.pid, family] { *family = family_of(pid); },
        [this, key, family] {
            Daemon* one = find(key);
            if (one == nullptr || one->phase != Phase::Held) return;
            one->sampling = 0;
            one->family = std::move(*family);
            one->family_timer = p_.timers.arm(p_.clock.now() + kFamily, [this, key] {
                if (Daemon* later = find(key)) later->family_timer = 0;
                sample_family(key);
            });
        });
}

// ---- ending

void DaemonHost::on_exited(const std::string& key, Generation g, const ExitStatus& status) {
    Daemon* d = find(key);
    if (d == nullptr) return processes_->on_exited(key, g, status);
    if (!listed_ && d->generation == 0) return meet_exited(*d, g, status);
    if (d->generation != g) return p_.keeper.ack(key, g);
    if (d->phase == Phase::Kept) return main_ended(*d, status);
    p_.keeper.ack(key, g);
    if (d->phase != Phase::Command) return;
    const bool well = status.known && status.signal == 0 && status.code == 0;
    if (well || d->failure) {
        d->phase = Phase::Awaiting;
        return search(key);
    }
    d->failure =
        Failure{SpawnStage::StartCommand, status.signal != 0 ? 128 + status.signal : status.code,
                "start_command ended with " + describe(status)};
    p_.keeper.signal(key, g, SIGKILL, SignalScope::Tree); // what it left behind
}

// From the keeper's list: an exit that was acknowledged already, of a tree that lives.
void DaemonHost::meet_exited(Daemon& d, Generation g, const ExitStatus& status) {
    const std::string key = d.spec.key;
    d.generation = g;
    p_.keeper.ack(key, g);
    if (p_.starting(key)) { // the start command; its daemon is still to be found
        d.starting = g;
        d.phase = Phase::Awaiting;
        return await(d);
    }
    d.set(Phase::Kept, MainSight{});
    d.ended = p_.clock.now();
    d.status = status;
    d.reported = true;
    sights_->on_main_gone(key, status);
}

void DaemonHost::await(Daemon& d) {
    p_.timers.cancel(d.deadline);
    d.deadline = p_.timers.arm(p_.clock.now() + d.spec.start_timeout, [this, key = d.spec.key] {
        if (Daemon* one = find(key)) {
            one->deadline = 0;
            start_late(*one);
        }
    });
    search(d.spec.key);
}

void DaemonHost::on_tree_empty(const std::string& key, Generation g) {
    Daemon* d = find(key);
    if (d == nullptr) return processes_->on_tree_empty(key, g);
    if (d->generation != g) return p_.keeper.ack(key, g);
    switch (d->phase) {
    case Phase::Command:
    case Phase::Awaiting: {
        p_.keeper.ack(key, g);
        d->generation = 0;
        if (d->failure) {
            const Failure failure = *d->failure;
            return fail_start(*d, failure.stage, failure.error, failure.text);
        }
        // Where there are no cgroups a daemon may have left the tree for good: it cleared its
        // environment and has a session of its own. So a last look, and not one of before.
        d->phase = Phase::Awaiting;
        d->candidate.reset();
        p_.offload.cancel(std::exchange(d->searching, 0));
        return search(key);
    }
    case Phase::Kept:
        if (d->ended) d->tree_gone = true; // a successor may still be found
        if (!d->ended || d->reported) {
            d->away();
            d->generation = 0;
            d->told_absent = true;
            sights_->on_tree_gone(key);
            p_.keeper.ack(key, g);
        }
        return;
    case Phase::Held: // of an earlier instance
    case Phase::LeftOvers:
    case Phase::Away:
        p_.keeper.ack(key, g);
        d->generation = 0;
        return;
    }
}

void DaemonHost::main_ended(Daemon& d, const ExitStatus& status) {
    d.ended = p_.clock.now();
    d.status = status;
    p_.timers.cancel(std::exchange(d.family_timer, 0));
    search(d.spec.key);
}

void DaemonHost::report_end(Daemon& d) {
    const std::string key = d.spec.key;
    if (d.reported) return;
    if (owner_judges(d)) return ask_owner(key); // while it is blind: on return
    const ExitStatus status = d.status;
    if (d.phase == Phase::Kept) {
        d.reported = true;
        const Generation g = d.generation;
        sights_->on_main_gone(key, status);
        p_.keeper.ack(key, g);
        if (Daemon* one = find(key); one != nullptr && one->tree_gone) on_tree_empty(key, g);
        return;
    }
    d.keep_leftovers();
    if (d.leftovers.empty()) {
        d.away();
        d.told_absent = true;
        sights_->on_absent(key, false, status, "");
        return look_later(key);
    }
    d.phase = Phase::LeftOvers;
    sights_->on_main_gone(key, status);
    watch_leftovers(key);
}

void DaemonHost::watch_leftovers(const std::string& key) {
    Daemon* d = find(key);
    if (d == nullptr || d->phase != Phase::LeftOvers) return;
    std::erase_if(d->leftovers, [](const ProcessHandle& h) { return !h.alive(); });
    if (d->leftovers.empty()) {
        d->away();
        d->told_absent = true;
        sights_->on_tree_gone(key);
        return look_later(key);
    }
    p_.timers.cancel(d->family_timer);
    d->family_timer =
        p_.timers.arm(p_.clock.now() + kLeftOvers, [this, key] { watch_leftovers(key); });
}

void DaemonHost::stop(const UnitSpec& spec, Generation g, bool) {
    Daemon* d = find(spec.key);
    if (d == nullptr) return;
    d->spec = spec;
    if (!d->owner.empty() && d->phase == Phase::Held) return order(*d, false, g);
    const SignalScope scope = scope_of(spec.policy.stop.kill);
    send(*d, spec.policy.stop.signal, scope);
    send(*d, SIGCONT, scope);
}

void DaemonHost::signal(const std::string& key, Generation, int signal, SignalScope scope) {
    const Daemon* d = find(key);
    if (d == nullptr) return;
    if (blind(*d))
        return p_.tell(key, "no signal: " + d->owner + " of systemd cannot be seen at present");
    // Its TimeoutStopSec= decides when systemd kills.
    if (d->stop_job && signal == SIGKILL)
        return p_.tell(key, "no SIGKILL: the stop job of " + d->owner + " is under way");
    send(*d, signal, scope);
}

void DaemonHost::send(const Daemon& d, int signal, SignalScope scope) {
    switch (d.phase) {
    case Phase::Command:
    case Phase::Awaiting:
    case Phase::Kept: return p_.keeper.signal(d.spec.key, d.generation, signal, scope);
    case Phase::LeftOvers:
        for (const ProcessHandle& h : d.leftovers) h.signal(signal);
        return;
    case Phase::Away: return;
    case Phase::Held: break;
    }
    if (d.handle) d.handle.signal(signal);
    if (scope != SignalScope::Tree) return;
    for (const Relative& r : family_of(d.main.pid))
        if (const auto handle = ProcessHandle::open(r.pid, r.start_ticks)) handle.signal(signal);
}

// ---- the keeper's list

void DaemonHost::on_adopted(const std::string& key, Generation g, std::int64_t pid,
                            Instant started_at) {
    Daemon* d = find(key);
    if (d == nullptr) return processes_->on_adopted(key, g, pid, started_at);
    d->generation = g;
    const auto stat = Procfs().stat(pid);
    if (p_.starting(key)) {
        d->starting = g;
        return on_spawned(key, g, pid);
    }
    MainSight sight;
    sight.pid = pid;
    sight.start_ticks = stat ? stat->start_ticks : 0;
    d->set(Phase::Kept, sight);
    if (stat) sights_->on_appeared(key, pid, began_at(sight.start_ticks), "");
}

void DaemonHost::on_list_complete() {
    listed_ = true;
    processes_->on_list_complete();
    for (const auto& [key, d] : daemons_)
        if (d->phase == Phase::Away || d->starting) look_later(key);
}

void DaemonHost::ack(const std::string&, Generation) {} // done when it is told

// ---- what is known

std::vector<Survivor> DaemonHost::survivors(const std::string& key) {
    const Daemon* d = find(key);
    if (d == nullptr || d->generation != 0) return p_.keeper.survivors(key);
    std::vector<Survivor> all;
    const auto stat = d->main.pid != 0 ? Procfs().stat(d->main.pid) : std::nullopt;
    if (stat) all.push_back({stat->pid, stat->state, stat->name});
    return all;
}

std::string DaemonHost::cgroup_of(const std::string& key) const {
    return started_here(key) ? p_.keeper.cgroup_of(key) : "";
}
std::vector<std::string> DaemonHost::missing_limits(const std::string& key) const {
    return started_here(key) ? p_.keeper.missing_limits(key) : std::vector<std::string>{};
}
bool DaemonHost::owns_tree(const std::string& key) const {
    return started_here(key) && p_.keeper.owns_tree(key);
}
bool DaemonHost::started_here(const std::string& key) const {
    const Daemon* d = find(key);
    if (d == nullptr) return false;
    return d->phase == Phase::Command || d->phase == Phase::Awaiting || d->phase == Phase::Kept;
}

std::optional<ManagedState> DaemonHost::managed(const std::string& key) const {
    const Daemon* d = find(key);
    if (d == nullptr || d->owner.empty()) return std::nullopt;
    return p_.services.service_state(d->owner);
}

} // namespace keepwell
