#include "supervisor/app/actions.h"

#include "units/reason.h"

#include <algorithm>
#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr auto kKeepFinished = 10min;
constexpr std::size_t kKeepCount = 200;

bool gone(const UnitRecord& r) { return !r.main_alive && !r.tree_alive; }

bool down_for_good(const UnitRecord& r) {
    return gone(r) &&
           (r.state == State::Stopped || r.state == State::Completed || r.state == State::Failed);
}

bool is_order(const Event& e) {
    return std::holds_alternative<event::Start>(e) || std::holds_alternative<event::Stop>(e) ||
           std::holds_alternative<event::Restart>(e) || std::holds_alternative<event::Shutdown>(e);
}

} // namespace

Actions::Actions(Ports ports) : p_(std::move(ports)) {}

bool Actions::Action::finished() const {
    return std::all_of(members.begin(), members.end(),
                       [](const Member& m) { return m.status == "ok" || m.status == "failed"; });
}

std::string Actions::begin(Verb verb, const std::vector<UnitIndex>& units, const std::string& who) {
    return begin(verb, units, who, false);
}

std::string Actions::begin(Verb verb, const std::vector<UnitIndex>& units, const std::string& who,
                           bool shutdown) {
    prune();
    std::string id = fmt::format("a{}", next_++);
    Action& a = actions_[id];
    order_.push_back(id);
    a.id = id;
    a.verb = verb;
    a.who = who;
    a.shutdown = shutdown;
    a.begun = p_.clock.now();
    for (const UnitIndex i : units)
        a.members.push_back(
            {p_.engine.spec(i).key, p_.engine.record(i).generation, false, false, "pending", ""});
    advance(a);
    return id;
}

std::string Actions::begin_shutdown(const std::vector<UnitIndex>& units) {
    return begin(Verb::Stop, units, "shutdown", true);
}

// In a stop, a unit waits for those of the action that depend on it.
bool Actions::may_stop(const Action& a, UnitIndex i) const {
    for (const UnitIndex d : p_.engine.dependents(i)) {
        const std::string key = p_.engine.key_of(d);
        const bool in_action = std::any_of(a.members.begin(), a.members.end(),
                                           [&](const Member& m) { return m.key == key; });
        if (in_action && !down_for_good(p_.engine.record(d))) return false;
    }
    return true;
}

void Actions::post(Action& a, Member& m) {
    const auto i = p_.engine.find(m.key);
    if (!i || m.posted) return;
    switch (a.verb) {
    case Verb::Start:
        m.posted = true;
        p_.engine.post(*i, event::Start{}, {"", a.who, -1});
        break;
    case Verb::Restart:
        m.posted = true;
        p_.engine.post(*i, event::Restart{}, {"", a.who, -1});
        break;
    case Verb::Stop:
        if (!may_stop(a, *i)) break;
        m.posted = true;
        if (a.shutdown)
            p_.engine.post(*i, event::Shutdown{}, {"", a.who, -1});
        else
            p_.engine.post(*i, event::Stop{}, {"", a.who, -1});
        break;
    case Verb::Reload:
    case Verb::Signal:
    case Verb::Check:
    case Verb::Pause:
    case Verb::Resume:
    case Verb::Reset: m.posted = true; break;
    }
}

void Actions::advance(Action& a) {
    // post() may step units and come back here through stepped(): members are addressed by
    // position, never resized.
    for (std::size_t n = 0; n < a.members.size(); ++n) post(a, a.members[n]);
    if (a.finished() && a.ended == Instant{}) a.ended = p_.clock.now();
}

void Actions::judge(Action& a, Member& m, UnitIndex i) {
    if (!m.seen || m.status == "ok" || m.status == "failed") return;
    const UnitRecord& r = p_.engine.record(i);
    m.status = "working";
    switch (a.verb) {
    case Verb::Start: return judge_start(m, i, true);
    case Verb::Restart: return judge_start(m, i, r.generation > m.generation_before);
    case Verb::Stop: return judge_stop(m, i);
    case Verb::Reload:
    case Verb::Signal:
    case Verb::Check:
    case Verb::Pause:
    case Verb::Resume:
    case Verb::Reset: return;
    }
}

void Actions::judge_start(Member& m, UnitIndex i, bool newer) {
    const UnitRecord& r = p_.engine.record(i);
    const UnitSpec& spec = p_.engine.spec(i);
    switch (r.state) {
    case State::Running:
        if (!newer) break;
        if (spec.kind == UnitKind::External) return finish(m, true, "watched");
        return finish(m, true, fmt::format("running, pid {}", r.pid));
    case State::Completed:
        if (newer) return finish(m, true, "completed");
        break;
    case State::Backoff:
    case State::Cooldown:
    case State::Failed:
        if (!newer && r.state != State::Failed && r.desired == Desired::Running) break;
        return finish(m, false,
                      fmt::format("cannot start {}: {}; look at: keepwell why {}", m.key,
                                  p_.reason(i), m.key));
    case State::Stopped:
        if (r.desired == Desired::Stopped)
            return finish(m, false, "stopped by somebody else meanwhile");
        break;
    case State::Waiting: m.message = "waiting: " + p_.reason(i); return;
    case State::Starting:
    case State::Stopping:
    case State::Unknown: break;
    }
    m.message = std::string(to_string(r.state));
}

void Actions::judge_stop(Member& m, UnitIndex i) {
    const UnitRecord& r = p_.engine.record(i);
    if (p_.engine.spec(i).kind == UnitKind::External)
        return finish(m, true, "only watched; nothing to stop");
    if (down_for_good(r)) return finish(m, true, r.generation == 0 ? "was not running" : "stopped");
    if (r.reason.kind == ReasonKind::Unkillable) {
        const std::string who = p_.survivors(i);
        return finish(m, false,
                      fmt::format("cannot stop {}: {} not ended by SIGKILL; keepwell tries again",
                                  m.key, who.empty() ? "its processes were" : who));
    }
    if (r.desired == Desired::Running)
        return finish(m, false, "started by somebody else meanwhile");
    m.message = r.kills_sent > 0 ? "SIGKILL sent" : "stopping";
}

// Who was asked to stop it will not, so neither stop nor restart comes of it.
void Actions::judge_refusal(Action& a, Member& m, const std::string& why) {
    const bool open = m.posted && m.status != "ok" && m.status != "failed";
    if (!open || (a.verb != Verb::Stop && a.verb != Verb::Restart)) return;
    finish(m, false, fmt::format("cannot {} {}: {}; it goes on", to_string(a.verb), m.key, why));
}

void Actions::finish(Member& m, bool ok, std::string message) {
    m.status = ok ? "ok" : "failed";
    m.message = std::move(message);
}

void Actions::set(const std::string& id, const std::string& key, bool ok,
                  const std::string& message) {
    const auto it = actions_.find(id);
    if (it == actions_.end()) return;
    for (Member& m : it->second.members)
        if (m.key == key) finish(m, ok, message);
    advance(it->second);
}

void Actions::stepped(const StepInfo& info) {
    for (auto& [id, a] : actions_) {
        if (a.ended != Instant{}) continue;
        bool waits = false; // a stop whose next layer may be free now
        for (std::size_t n = 0; n < a.members.size(); ++n) {
            waits = waits || !a.members[n].posted;
            if (a.members[n].key != info.spec.key) continue;
            if (a.members[n].posted && is_order(info.event)) a.members[n].seen = true;
            if (stop_was_refused(info)) judge_refusal(a, a.members[n], info.text.detail);
            judge(a, a.members[n], info.unit);
        }
        if (waits && down_for_good(info.after))
            advance(a);
        else if (a.finished())
            a.ended = p_.clock.now();
    }
}

void Actions::erased(const std::string& key) {
    for (auto& [id, a] : actions_)
        for (Member& m : a.members)
            if (m.key == key && m.status != "ok" && m.status != "failed")
                finish(m, a.verb == Verb::Stop, "removed from the configuration");
}

std::optional<ActionView> Actions::view(const std::string& id) const {
    const auto it = actions_.find(id);
    if (it == actions_.end()) return std::nullopt;
    ActionView v;
    v.id = id;
    v.finished = it->second.finished();
    v.ok = v.finished;
    for (const Member& m : it->second.members) {
        v.units.push_back({m.key, m.status, m.message});
        v.ok = v.ok && m.status == "ok";
    }
    return v;
}

bool Actions::finished(const std::string& id) const {
    const auto it = actions_.find(id);
    return it == actions_.end() || it->second.finished();
}

void Actions::prune() {
    while (!order_.empty()) {
        const auto it = actions_.find(order_.front());
        const bool old =
            it->second.ended != Instant{} && p_.clock.now() - it->second.ended > kKeepFinished;
        if (!old && order_.size() <= kKeepCount) return;
        if (it->second.ended == Instant{}) return;
        actions_.erase(it);
        order_.pop_front();
    }
}

} // namespace keepwell
