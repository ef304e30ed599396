#include "supervisor/hosts/systemd_session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <fnmatch.h>
#include <map>
#include <set>
#include <unistd.h>
#include <utility>
#include <vector>

namespace keepwell {

namespace {

// States that are passed through (a restart by hand, Restart= of the unit's own) last less.
constexpr auto kSettle = 100ms;
constexpr std::array kCgroupRoots = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified",
                                     "/sys/fs/cgroup/systemd"};

bool resets_failed(const UnitSpec& spec) {
    const auto& ladder = spec.policy.ladder;
    return std::any_of(ladder.begin(), ladder.end(),
                       [](const LadderStep& s) { return s.kind == LadderKind::ResetFailed; });
}

} // namespace

void SystemdHost::Session::tell_all() {
    blindness.reset();
    for (const auto& [name, key] : std::multimap(keys_))
        if (Unit* u = host_.find(key)) {
            if (u->told && u->told->kind == SightKind::Invisible) u->told.reset();
            host_.look(*u);
        }
    host_.services_changed(*this);
}

void SystemdHost::Session::blind(Blindness why, const std::string& text) {
    SystemdSight sight;
    sight.kind = SightKind::Invisible;
    sight.why = why;
    sight.text = text;
    blindness = ServicesBlind{why, text};
    for (const auto& [name, key] : std::multimap(keys_))
        if (Unit* u = host_.find(key)) host_.tell_sight(*u, sight);
    host_.services_changed(*this);
}

SystemdHost::SystemdHost(Ports ports) : p_(std::move(ports)) {}
SystemdHost::~SystemdHost() {
    for (auto& [key, unit] : units_) p_.timers.cancel(unit->settle);
}

void SystemdHost::set_listeners(ProcessListener* processes, SightListener* sights) {
    processes_ = processes;
    sights_ = sights;
}

void SystemdHost::start() {
    started_ = true;
    for (auto& [address, session] : sessions_)
        session->on_phase(session->bus().phase(), session->bus().phase_text());
}

SystemdHost::Unit* SystemdHost::find(const std::string& key) const {
    const auto it = units_.find(key);
    return it == units_.end() ? nullptr : it->second.get();
}

SystemdHost::Session& SystemdHost::session(const std::string& address) {
    auto& session = sessions_[address];
    if (!session) session = std::make_unique<Session>(*this, p_.make_bus(address));
    return *session;
}

void SystemdHost::later(std::function<void()> f) { p_.timers.arm(p_.clock.now(), std::move(f)); }

// ---- watching

void SystemdHost::watch(const UnitSpec& spec) {
    Unit* old = find(spec.key);
    if (old != nullptr && old->spec.systemd == spec.systemd) {
        old->spec = spec;
        return;
    }
    if (old != nullptr) release(*old);
    auto unit = std::make_unique<Unit>();
    unit->spec = spec;
    unit->session = &session(spec.systemd.bus);
    Session& s = *unit->session;
    units_[spec.key] = std::move(unit);
    Status ok = Done{};
    if (spec.systemd.is_pattern()) {
        s.add_pattern(spec.systemd.unit, spec.key);
        ok = s.bus().watch_pattern(spec.systemd.unit);
    } else {
        s.add(spec.systemd.unit, spec.key);
        ok = s.bus().watch(spec.systemd.unit);
    }
    if (!ok) p_.tell(spec.key, ok.error().message);
    later([this, key = spec.key] {
        if (Unit* u = find(key)) look(*u);
    });
}

void SystemdHost::release(Unit& u) {
    p_.timers.cancel(std::exchange(u.settle, 0));
    if (u.spec.systemd.is_pattern()) {
        u.session->remove_pattern(u.name(), u.spec.key);
        u.session->bus().unwatch_pattern(u.name());
    } else {
        u.session->remove(u.name(), u.spec.key);
        u.session->bus().unwatch(u.name());
        for (auto& [key, other] : units_) other->discovered.erase(u.name());
    }
    for (const std::string& name : u.dependents) u.session->bus().unwatch(name);
    u.dependents.clear();
}

void SystemdHost::forget(const std::string& key) {
    Unit* u = find(key);
    if (u == nullptr) return;
    release(*u);
    units_.erase(key);
}

void SystemdHost::discover(const std::string& key, const std::string& name) {
    Unit* u = find(key);
    if (u != nullptr && u->discovered.insert(name).second) sights_->on_discovered(key, name);
}

// systemd stops these with it, and does not start them with it again.
void SystemdHost::watch_dependents(Unit& u, const SystemdUnitState& s) {
    for (const auto* names : {&s.required_by, &s.bound_by, &s.consists_of})
        for (const std::string& name : *names)
            if (name.ends_with(".service") && u.dependents.count(name) == 0 &&
                u.session->bus().watch(name))
                u.dependents.insert(name);
}

void SystemdHost::look(Unit& u, bool settled) {
    const SystemdUnitState* state = u.session->up() ? u.state() : nullptr;
    if (!started_ || state == nullptr) return;
    p_.timers.cancel(std::exchange(u.settle, 0));
    if (u.starting || u.stopping) return; // the job's answer comes last
    const SystemdSight sight = judge(*state, u.seen);
    if (sight.kind == SightKind::Coming) return;
    if (sight.kind == SightKind::There) {
        u.seen = true;
        watch_dependents(u, *state);
    }
    if (sight.passing && !settled) {
        u.settle = p_.timers.arm(p_.clock.now() + kSettle, [this, key = u.spec.key] {
            if (Unit* one = find(key)) {
                one->settle = 0;
                look(*one, true);
            }
        });
        return;
    }
    tell_sight(u, sight);
}

void SystemdHost::tell_sight(Unit& u, const SystemdSight& sight) {
    if (!started_) return;
    const bool same = u.told && u.told->kind == sight.kind && u.told->pid == sight.pid &&
                      u.told->started_at == sight.started_at && u.told->why == sight.why;
    if (same) return;
    u.told = sight;
    const std::string key = u.spec.key;
    switch (sight.kind) {
    case SightKind::Coming: return;
    case SightKind::There: return sights_->on_appeared(key, sight.pid, sight.started_at, "");
    case SightKind::Gone:
        return sights_->on_absent(key, sight.on_purpose, sight.status, sight.text);
    case SightKind::Held: return sights_->on_held(key, sight.status, sight.text);
    case SightKind::Invisible: return sights_->on_blind(key, sight.why, sight.text);
    }
}

// An order by hand came while nothing could be seen: that is still so.
void SystemdHost::tell_blind_again(const std::string& key) {
    const Unit* u = find(key);
    if (u != nullptr && u->told && u->told->kind == SightKind::Invisible)
        sights_->on_blind(key, u->told->why, u->told->text);
}

// ---- starting

void SystemdHost::spawn_failed(const std::string& key, Generation g, int error,
                               const std::string& text) {
    processes_->on_spawn_failed(key, g, SpawnStage::Manager, error, text);
}

void SystemdHost::spawn(const UnitSpec& spec, Generation g) {
    Unit* u = find(spec.key);
    if (u == nullptr) return;
    u->spec = spec;
    if (!u->session->up()) {
        // The host's fault, and no failure of the unit.
        return later([this, key = spec.key, g, text = cannot_ask(*u->session)] {
            spawn_failed(key, g, EAGAIN, text);
            tell_blind_again(key);
        });
    }
    u->starting = g;
    const SystemdUnitState* state = u->state();
    if (state == nullptr || state->active_state != "failed" || !resets_failed(spec))
        return order_start(spec.key, g);
    u->session->bus().order(UnitVerb::ResetFailed, u->name(), JobMode::Replace, spec.start_timeout,
                            [this, key = spec.key, g](const JobResult&) { order_start(key, g); });
}

void SystemdHost::order_start(const std::string& key, Generation g) {
    Unit* u = find(key);
    if (u == nullptr) return;
    if (const SystemdUnitState* state = u->state()) u->before = state->invocation_id;
    u->session->bus().order(UnitVerb::Start, u->name(), JobMode::Replace, u->spec.start_timeout,
                            [this, key, g](const JobResult& r) { start_answered(key, g, r); });
}

void SystemdHost::start_answered(const std::string& key, Generation g, const JobResult& r) {
    Unit* u = find(key);
    if (u == nullptr || u->starting != g) return;
    u->starting.reset();
    const SystemdUnitState* state = u->state();
    SystemdSight sight;
    if (state != nullptr) sight = judge(*state, u->seen);
    if (sight.kind == SightKind::There) {
        u->seen = true;
        u->told = sight;
        watch_dependents(*u, *state);
        sights_->on_started(key, g, sight.pid, sight.started_at);
        return bring_back(*u);
    }
    if (r.done()) { // it was there, and is not any more
        u->seen = true;
        sights_->on_started(key, g, 0, p_.clock.now());
        u->told.reset();
        if (Unit* still = find(key)) look(*still);
        return;
    }
    std::string text = "systemd: " + text_of(r);
    if (state != nullptr && r.outcome == JobOutcome::Failed && state->result != "success")
        text += " (" + state->result + ")";
    // systemd keeps the older result of a unit that it refuses to start again; that there was no
    // new invocation tells it.
    const bool limit = state != nullptr && r.outcome == JobOutcome::Failed &&
                       (state->result == "start-limit-hit" ||
                        (state->active_state == "failed" && state->invocation_id == u->before));
    if (limit)
        text = fmt::format("systemd: start-limit-hit (systemctl reset-failed {}, or the ladder "
                           "step \"reset-failed\")",
                           u->name());
    // The fleet decides what is next; what it hears then is only what differs from this.
    if (sight.kind == SightKind::Gone)
        u->told = sight;
    else
        u->told.reset();
    const bool lost = r.outcome == JobOutcome::Lost;
    spawn_failed(key, g, lost ? EAGAIN : 0, text);
    if (Unit* still = find(key); still != nullptr && sight.kind != SightKind::Gone) look(*still);
}

void SystemdHost::bring_back(Unit& u) {
    for (const std::string& name : std::exchange(u.taken_down, {})) {
        p_.tell(u.spec.key, "starts " + name + " again, which systemd stopped with it");
        u.session->bus().order(UnitVerb::Start, name, JobMode::Fail, u.spec.start_timeout,
                               [this, key = u.spec.key, name](const JobResult& r) {
                                   if (!r.done() && find(key) != nullptr)
                                       p_.tell(key, "cannot start " + name + ": " + text_of(r));
                               });
    }
}

// ---- stopping, and the rest

void SystemdHost::stop(const UnitSpec& spec, Generation g, bool comes_back) {
    Unit* u = find(spec.key);
    if (u == nullptr) return;
    u->spec = spec;
    if (!u->session->up())
        return later([this, key = spec.key, g, text = cannot_ask(*u->session)] {
            sights_->on_stop_refused(key, g, text, true);
            tell_blind_again(key);
        });
    u->stopping = true;
    u->taken_down.clear();
    for (const std::string& name : u->dependents) {
        const SystemdUnitState* state = u->session->bus().state(name);
        if (comes_back && state != nullptr && state->active_state == "active")
            u->taken_down.push_back(name);
    }
    // systemd's own time limit ends the job; ours only bounds the waiting for it.
    constexpr auto kLongestStop = 15min;
    u->session->bus().order(
        UnitVerb::Stop, u->name(), JobMode::Replace, kLongestStop,
        [this, key = spec.key, g](const JobResult& r) { stop_answered(key, g, r); });
}

void SystemdHost::stop_answered(const std::string& key, Generation g, const JobResult& r) {
    Unit* u = find(key);
    if (u == nullptr) return;
    u->stopping = false;
    u->told.reset();
    // A unit that is not there any more has not refused anything.
    const SystemdUnitState* state = u->session->up() ? u->state() : nullptr;
    const bool there = state != nullptr && judge(*state, u->seen).kind == SightKind::There;
    const bool refused = r.outcome == JobOutcome::Error || r.outcome == JobOutcome::Canceled;
    if (refused && there) sights_->on_stop_refused(key, g, "systemd: " + text_of(r), false);
    if (Unit* still = find(key)) look(*still, true);
}

bool SystemdHost::reload(const UnitSpec& spec,
                         const std::function<void(const std::string&)>& done) {
    Unit* u = find(spec.key);
    if (u == nullptr) return false;
    u->session->bus().order(
        UnitVerb::Reload, u->name(), JobMode::Replace, spec.start_timeout,
        [done](const JobResult& r) { done(r.done() ? "" : "systemd: " + text_of(r)); });
    return true;
}

void SystemdHost::signal_by_hand(const std::string& key, Generation, int signal,
                                 std::function<void(const std::string&)> done) {
    Unit* u = find(key);
    if (u == nullptr) return done("systemd does not have it");
    if (!u->session->up()) return done(cannot_ask(*u->session));
    u->session->bus().kill(u->name(), "main", signal, [done = std::move(done)](const JobResult& r) {
        done(r.done() ? "" : "systemd: " + text_of(r));
    });
}

void SystemdHost::signal(const std::string& key, Generation, int signal, SignalScope scope) {
    Unit* u = find(key);
    if (u == nullptr) return;
    u->session->bus().kill(u->name(), scope == SignalScope::Process ? "main" : "all", signal,
                           [this, key](const JobResult& r) {
                               if (!r.done() && find(key) != nullptr)
                                   p_.tell(key, "cannot signal it: " + text_of(r));
                           });
}

std::string SystemdHost::cgroup_of(const std::string& key) const {
    const Unit* u = find(key);
    const SystemdUnitState* state = u != nullptr ? u->state() : nullptr;
    if (state == nullptr || state->control_group.empty()) return {};
    for (const char* root : kCgroupRoots) {
        std::string folder = root + state->control_group;
        if (access((folder + "/cgroup.procs").c_str(), R_OK) == 0) return folder;
    }
    return {};
}

} // namespace keepwell
