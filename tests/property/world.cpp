#include "tests/property/world.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace keepwell::testing {

namespace {

void promise(bool kept, const char* name) {
    if (!kept) throw std::logic_error(name);
}

template <class E>
const E* as(const Event& event) {
    return std::get_if<E>(&event);
}

bool by_operator(const Event& e) {
    return as<event::Start>(e) || as<event::Restart>(e) || as<event::Reset>(e);
}

bool at_rest(State s) { return s == State::Stopped || s == State::Failed || s == State::Completed; }

} // namespace

World::World(const UnitSpec& spec, Instant now)
    : spec_(&spec), record_(initial_record(spec, now)), now_(now), counters_(spec.checks.size()) {}

template <class E>
bool World::did() const {
    return std::ranges::any_of(effects_,
                               [](const Effect& e) { return std::holds_alternative<E>(e); });
}

bool World::noted(NoteKind kind) const {
    return std::ranges::any_of(effects_, [kind](const Effect& e) {
        const auto* n = std::get_if<Note>(&e);
        return n && n->kind == kind;
    });
}

void World::apply(const Event& event, Instant now, double jitter) {
    now_ = now;
    UnitRecord before = record_;
    Step s = step(*spec_, std::move(record_), event, now, jitter);
    record_ = std::move(s.record);
    effects_.assign(s.effects.begin(), s.effects.end());
    most_effects_ = std::max(most_effects_, effects_.size());
    see_process(event);
    see_counters(event, before);
    see_spawn(event, before);
    see_notes(event);
    see_state(event, before);
    see_deadlines();
    see_no_dead_end();
}

void World::apply_stale(Instant now) {
    if (record_.generation < 2) return;
    const Generation old = record_.generation - 1;
    const Event all[] = {
        event::Spawned{old, 9},
        event::SpawnFailed{old, SpawnStage::Exec, 2, false},
        event::Adopted{old, 9, now},
        event::Ready{old},
        event::Exited{old, {}},
        event::TreeEmpty{old},
        event::StopFinished{old, true},
        event::MainChanged{old, 9},
        event::CheckResult{old, 0, CheckOutcome::Fail, 0, true, true, CheckEffect::Down, false}};
    for (const Event& event : all) {
        UnitRecord expected = record_;
        ++expected.stale_events;
        const Step s = step(*spec_, record_, event, now, 0.5);
        promise(s.record == expected && s.effects.empty(), "I8: a stale event changes nothing");
    }
}

// I1: the process as the keeper sees it.
void World::see_process(const Event& event) {
    if (as<event::Spawned>(event) && process_ == Process::Asked) process_ = Process::Alive;
    if (as<event::SpawnFailed>(event) && process_ == Process::Asked) process_ = Process::None;
    if (as<event::Exited>(event) && process_ == Process::Alive) process_ = Process::OnlyTree;
    if (as<event::TreeEmpty>(event)) process_ = Process::None;
}

void World::see_spawn(const Event& event, const UnitRecord& before) {
    if (!did<effect::Spawn>()) return;
    promise(process_ == Process::None, "I1: never two live processes of one unit");
    promise(record_.desired == Desired::Running, "I2: nothing is spawned that shall be stopped");
    promise(!record_.hold && !record_.blocked_by, "a held unit is not started");
    promise(record_.generation > last_spawned_, "generations count up");
    const bool dependency_back = as<event::Dependencies>(event) != nullptr;
    const bool operators_restart = before.restart_now;
    if (!by_operator(event) && !operators_restart) {
        promise(!record_.paused || dependency_back, "a paused unit is not started by itself");
        promise(now_ + 5ms >= not_before_, "I3: an automatic start waits for its backoff");
    }
    last_spawned_ = record_.generation;
    process_ = Process::Asked;
    counters_.assign(counters_.size(), {});
}

// I5: the reference counter.
void World::see_counters(const Event& event, const UnitRecord& before) {
    if (as<event::Reset>(event)) counters_.assign(counters_.size(), {});
    if (const auto* e = as<event::CheckEnabled>(event)) {
        if (before.checks[e->check].enabled != e->enabled) counters_[e->check] = {};
    }
    const auto* e = as<event::CheckResult>(event);
    const bool observed =
        before.main_alive && (before.state == State::Running || before.state == State::Starting);
    if (!e || e->generation != before.generation || !observed || !before.checks[e->check].enabled) {
        promise(!noted(NoteKind::Tripped), "I5: only a result trips");
        return;
    }
    const CheckSpec& spec = spec_->checks[e->check];
    ReferenceCounter& c = counters_[e->check];
    bool trips = false;
    if (e->outcome == CheckOutcome::Fail) {
        c.passes = 0;
        const bool grace = !c.passed && now_ < before.started_at + spec.grace;
        if (e->counts && !before.blocked_by && !grace) {
            trips = ++c.failures >= spec.failures && !c.tripped;
            c.tripped = c.tripped || trips;
        }
    } else {
        c.failures = 0;
        c.passed = true;
        if (++c.passes >= spec.successes) c.tripped = false;
    }
    promise(noted(NoteKind::Tripped) == trips, "I5: trips at N consecutive failures, not before");
    const CheckCounter& real = record_.checks[e->check];
    promise(real.tripped == c.tripped && real.failures == c.failures, "I5: counters agree");
}

// I3 and I4: backoff and budget, counted anew.
void World::see_notes(const Event& event) {
    const BackoffPolicy& backoff = spec_->policy.backoff;
    const BudgetPolicy& budget = spec_->policy.budget;
    // From rest; a start that takes back a stop before the answer to a spawn is none.
    const bool fresh_start = as<event::Start>(event) && noted(NoteKind::OperatorStart) &&
                             (did<effect::Spawn>() || record_.state == State::Waiting);
    if (fresh_start || noted(NoteKind::OperatorRestart) || noted(NoteKind::OperatorReset) ||
        noted(NoteKind::BackoffReset) || (as<event::Start>(event) && record_.restart_now)) {
        streak_ = 0;
        charged_.clear();
        not_before_ = {}; // also for a start that a dependency still holds
    }
    const auto* failed = as<event::SpawnFailed>(event);
    for (const Effect& e : effects_) {
        const auto* n = std::get_if<Note>(&e);
        if (!n) continue;
        if (n->kind == NoteKind::Cooldown) {
            promise(n->delay == budget.cooldown, "cooldown waits as configured");
            not_before_ = now_ + n->delay;
        }
        if (n->kind != NoteKind::Backoff) continue;
        not_before_ = now_ + n->delay;
        promise(n->delay <= backoff.max * (1.0 + backoff.jitter), "I3: backoff has a maximum");
        if (failed && failed->transient) continue;
        ++streak_;
        charged_.push_back(now_);
        std::erase_if(charged_, [&](Instant t) { return t <= now_ - budget.within; });
        promise(charged_.size() <= budget.restarts, "I4: automatic restarts stay in the budget");
        const double full = std::min(static_cast<double>(backoff.max.count()),
                                     static_cast<double>(backoff.initial.count()) *
                                         std::pow(backoff.factor, streak_ - 1));
        const auto delay = static_cast<double>(n->delay.count());
        promise(delay >= full * (1 - backoff.jitter) - 2 &&
                    delay <= full * (1 + backoff.jitter) + 2,
                "I3: the n-th restart waits initial times factor^(n-1)");
    }
}

void World::see_state(const Event& event, const UnitRecord& before) const {
    const UnitRecord& r = record_;
    if (before.state == State::Failed && r.state != State::Failed) {
        promise(by_operator(event) || as<event::Stop>(event) || as<event::Shutdown>(event),
                "I9: failed is left only by a word of somebody");
    }
    promise(r.main_alive == (process_ == Process::Alive), "the record knows the main process");
    promise(r.tree_alive == (process_ == Process::Alive || process_ == Process::OnlyTree),
            "the record knows the tree");
    if (at_rest(r.state) || r.state == State::Waiting || r.state == State::Backoff ||
        r.state == State::Cooldown) {
        promise(process_ == Process::None, "no process behind a unit at rest");
    }
    if (r.health == Verdict::Healthy) {
        promise(r.state == State::Running || r.state == State::Completed, "healthy means it runs");
    }
    if (r.state == State::Backoff || r.state == State::Cooldown || r.state == State::Failed) {
        promise(r.health == Verdict::Down, "what should run and does not is down");
    }
    if (r.state != before.state) promise(r.state_since == now_, "state_since follows the state");
    if (r.health != before.health) promise(r.health_since == now_, "health_since follows");
    if (r.paused || spec_->dry_run || !spec_->heal) {
        promise(!did<effect::RunLadder>(), "hands off: no ladder");
    }
}

// I6 and I7.
void World::see_deadlines() const {
    const UnitRecord& r = record_;
    const auto armed = [&r](TimerKind k) { return r.deadline(k).has_value(); };
    promise(!armed(TimerKind::Ready) || r.state == State::Starting, "I6: ready only in starting");
    promise(!armed(TimerKind::Kill) || r.state == State::Stopping, "I6: kill only in stopping");
    promise(!armed(TimerKind::Retry) || r.state == State::Backoff || r.state == State::Cooldown,
            "I6: retry only in backoff and cooldown");
    promise(!armed(TimerKind::Reset) || r.state == State::Running, "I6: reset only while running");
    promise(!armed(TimerKind::PauseEnd) || r.paused, "I6: the end of a pause needs a pause");
    const Duration limit = std::max<Duration>(spec_->policy.stop.timeout, 5s);
    if (armed(TimerKind::Kill)) {
        promise(*r.deadline(TimerKind::Kill) <= now_ + limit, "I7: a stop escalates in time");
    }
}

// Whoever should run either does, or something that is armed or under way will see to it.
void World::see_no_dead_end() const {
    const UnitRecord& r = record_;
    const bool hands_off = r.paused || spec_->dry_run || !spec_->heal;
    switch (r.state) {
    case State::Starting: promise(process_ != Process::None, "a start is under way"); break;
    case State::Stopping:
        promise(hands_off || r.deadline(TimerKind::Kill), "a stop has its deadline");
        break;
    case State::Backoff:
    case State::Cooldown:
        promise(r.paused || r.deadline(TimerKind::Retry), "a wait has its end");
        break;
    case State::Waiting: promise(r.hold || r.blocked_by, "waiting needs somebody"); break;
    case State::Running: promise(r.main_alive, "running means alive"); break;
    case State::Stopped: promise(r.desired == Desired::Stopped, "stopped means wanted so"); break;
    case State::Completed:
    case State::Failed: break;
    case State::Unknown: promise(false, "a child is never unknown"); break;
    }
}

std::optional<Instant> World::next_deadline() const {
    std::optional<Instant> next;
    for (const auto& d : record_.deadlines) {
        if (d && (!next || *d < *next)) next = d;
    }
    return next;
}

std::optional<TimerKind> World::due_timer() const {
    std::optional<TimerKind> due;
    for (int k = 0; k < kTimerCount; ++k) {
        const auto kind = static_cast<TimerKind>(k);
        const auto& d = record_.deadline(kind);
        if (d && *d <= now_ && (!due || *d < *record_.deadline(*due))) due = kind;
    }
    return due;
}

std::vector<Event> World::possible() const {
    const Generation g = record_.generation;
    std::vector<Event> all = {event::Start{},
                              event::Stop{},
                              event::Restart{},
                              event::Reset{},
                              event::Pause{std::nullopt},
                              event::Resume{},
                              event::Dependencies{std::nullopt, 7},
                              event::Dependencies{7, 7},
                              event::Dependencies{std::nullopt, std::nullopt}};
    ExitStatus good;
    good.known = true;
    ExitStatus bad = good;
    bad.code = 1;
    switch (process_) {
    case Process::None: break;
    case Process::Asked:
        all.push_back(event::Spawned{g, 100});
        all.push_back(event::SpawnFailed{g, SpawnStage::Exec, 2, false});
        all.push_back(event::SpawnFailed{g, SpawnStage::Fork, 11, true});
        break;
    case Process::Alive:
        all.push_back(event::Exited{g, good});
        all.push_back(event::Exited{g, bad});
        all.push_back(event::Ready{g});
        for (const auto outcome : {CheckOutcome::Pass, CheckOutcome::Warn, CheckOutcome::Fail}) {
            for (std::size_t i = 0; i < record_.checks.size(); ++i) {
                all.push_back(event::CheckResult{g, static_cast<CheckIndex>(i), outcome, 503, true,
                                                 true, CheckEffect::Down, false});
            }
        }
        break;
    case Process::OnlyTree: all.push_back(event::TreeEmpty{g}); break;
    }
    return all;
}

std::string World::key() const {
    const UnitRecord& r = record_;
    std::ostringstream k;
    const auto rel = [this](Instant t) { return (t - now_).count(); };
    k << static_cast<int>(r.state) << static_cast<int>(r.desired) << static_cast<int>(r.health)
      << static_cast<int>(r.reason.kind) << r.reason.status.known << r.reason.status.code
      << r.restart_now << r.paused << r.budget_spent << r.blocked_by.has_value()
      << r.hold.has_value() << r.incident_since.has_value() << static_cast<int>(process_) << ' '
      << r.streak << ' ' << r.transient_streak << ' ' << r.incident_attempts << ' ' << r.kills_sent;
    for (const auto& d : r.deadlines) k << ' ' << (d ? rel(*d) : -1);
    for (const Instant t : r.restarts) k << " r" << rel(t);
    for (const CheckCounter& c : r.checks) {
        k << " c" << c.ran << c.passed << c.tripped << static_cast<int>(c.last) << c.failures << ','
          << std::min(c.successes, 3U) << ',' << c.step_wait;
    }
    if (r.step_at) k << " s" << rel(*r.step_at);
    return k.str();
}

} // namespace keepwell::testing
