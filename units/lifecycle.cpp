#include "units/lifecycle.h"

#include "units/check_counter.h"
#include "units/restart_policy.h"
#include "units/verdict.h"

namespace keepwell {

Reason reason_of(ReasonKind kind) noexcept {
    Reason reason;
    reason.kind = kind;
    return reason;
}

std::optional<std::int64_t> Lifecycle::hands_off() const noexcept {
    if (spec_.dry_run) return 0;
    if (!spec_.heal) return 1;
    if (r_.paused) return 2;
    return std::nullopt;
}

void Lifecycle::note(NoteKind kind) noexcept {
    Note n;
    n.kind = kind;
    note(n);
}

void Lifecycle::would_restart(std::int64_t why) noexcept {
    Note n;
    n.kind = NoteKind::WouldRestart;
    n.code = why;
    note(n);
}

bool Lifecycle::stale(Generation generation) noexcept {
    if (generation == r_.generation && generation != 0) return false;
    drop();
    return true;
}

void Lifecycle::drop() noexcept {
    ++r_.stale_events;
    dropped_ = true;
}

void Lifecycle::set_state(State state, const Reason& reason) noexcept {
    if (r_.state != state) r_.state_since = now_;
    r_.state = state;
    r_.reason = reason;
    r_.deadline(TimerKind::Ready).reset();
    r_.deadline(TimerKind::Kill).reset();
    r_.deadline(TimerKind::Retry).reset();
}

void Lifecycle::set_deadline(TimerKind kind, Duration from_now) noexcept {
    r_.deadline(kind) = now_ + from_now;
}

void Lifecycle::incident() noexcept {
    if (!r_.incident_since) r_.incident_since = now_;
}

void Lifecycle::zero_counters() noexcept {
    for (CheckCounter& c : r_.checks) zero(c);
}

void Lifecycle::new_generation() noexcept {
    ++r_.generation;
    zero_counters();
    r_.kills_sent = 0;
    r_.restart_now = false;
    r_.pid = 0;
    r_.current_delay = {};
}

void Lifecycle::begin_start(const Reason& reason) noexcept {
    if (alive()) { // never a second copy
        r_.restart_now = true;
        begin_stop(reason);
        return;
    }
    if (const auto held_by = gate()) {
        Reason needs = reason_of(ReasonKind::Dependency);
        needs.unit = *held_by;
        const bool already = r_.state == State::Waiting && r_.reason == needs;
        set_state(State::Waiting, needs);
        r_.restart_now = false;
        r_.current_delay = {};
        if (already) return;
        Note n;
        n.kind = NoteKind::Waiting;
        n.unit = *held_by;
        note(n);
        return;
    }
    new_generation();
    set_state(State::Starting, reason);
    Note n;
    n.kind = NoteKind::StartBegan;
    n.count = static_cast<std::uint32_t>(r_.generation);
    note(n);
    out_.push_back(effect::Spawn{r_.generation});
}

void Lifecycle::begin_stop(const Reason& reason) noexcept {
    r_.kills_sent = 0;
    set_state(State::Stopping, reason);
    set_deadline(TimerKind::Kill, spec_.policy.stop.timeout);
    // After an exit only left-overs are told to go; the exit itself is in the timeline already.
    if (r_.main_alive) {
        Note n;
        n.kind = NoteKind::StopBegan;
        n.code = spec_.policy.stop.signal;
        note(n);
    }
    out_.push_back(effect::StopChecks{});
    out_.push_back(effect::Terminate{r_.generation});
}

void Lifecycle::running() noexcept {
    set_state(State::Running, r_.reason);
    note(NoteKind::Running);
}

void Lifecycle::decide() noexcept {
    const Reason cause = r_.reason;
    r_.pid = 0;
    if (r_.desired == Desired::Stopped) {
        r_.restart_now = false;
        set_state(State::Stopped, cause);
        return;
    }
    if (r_.restart_now) {
        ++r_.restarts_total;
        begin_start(cause);
        return;
    }
    if (completes(spec_, cause)) {
        set_state(State::Completed, reason_of(ReasonKind::Completed));
        note(NoteKind::Completed);
        return;
    }
    if (spec_.policy.restart == RestartMode::Never) {
        incident();
        set_state(State::Failed, cause);
        note(NoteKind::GaveUp);
        return;
    }
    if (const auto why = hands_off()) {
        incident();
        if (cause.kind != ReasonKind::SpawnFailed || cause.stage != SpawnStage::DryRun)
            would_restart(*why);
        const bool parked = *why == 2; // until Resume
        if (parked) ++r_.restarts_total;
        set_state(parked ? State::Backoff : State::Failed, cause);
        r_.current_delay = {};
        return;
    }
    if (gate()) {
        ++r_.restarts_total;
        begin_start(cause);
        return;
    }
    incident();
    retry_later();
}

void Lifecycle::retry_later() noexcept {
    const Reason cause = r_.reason;
    const BudgetPolicy& budget = spec_.policy.budget;
    const RestartPlan plan = charge(spec_.policy, r_, now_, jitter_);
    Reason spent = reason_of(ReasonKind::BudgetSpent);
    spent.count = budget.restarts;
    if (plan.newly_spent) {
        Note n;
        n.kind = NoteKind::BudgetSpent;
        n.count = budget.restarts;
        note(n);
    }
    Note n;
    n.delay = plan.delay;
    switch (plan.kind) {
    case RestartKind::GiveUp:
        set_state(State::Failed, spent);
        note(NoteKind::GaveUp);
        return;
    case RestartKind::Cooldown:
        set_state(State::Cooldown, spent);
        n.kind = NoteKind::Cooldown;
        break;
    case RestartKind::Backoff:
        set_state(State::Backoff, cause);
        n.kind = NoteKind::Backoff;
        n.count = static_cast<std::uint32_t>(r_.restarts.size());
        n.of = budget.restarts;
        break;
    }
    set_deadline(TimerKind::Retry, plan.delay);
    note(n);
}

void Lifecycle::finish() noexcept {
    if (dropped_) return;
    const Verdict health = verdict_of(spec_, r_);
    if (r_.state == State::Running) {
        const Reason why = running_reason(spec_, r_);
        // Down without a failing check: not proven well since the incident, whose cause stays.
        if (why.kind != ReasonKind::None || health != Verdict::Down) r_.reason = why;
    }
    if (health != r_.health) r_.health_since = now_;
    r_.health = health;

    const bool well = r_.state == State::Running && health == Verdict::Healthy;
    if (well && r_.incident_since) {
        Note n;
        n.kind = NoteKind::Healthy;
        n.delay = now_ - *r_.incident_since;
        note(n);
    }
    // A stop on purpose ends an incident as well: the next start is judged afresh.
    if (well || r_.state == State::Completed || r_.state == State::Stopped) {
        r_.incident_since.reset();
        r_.incident_attempts = 0;
        r_.step_at.reset();
    }
    auto& reset = r_.deadline(TimerKind::Reset);
    if (!well || !has_troubles(r_)) {
        reset.reset();
    } else if (!reset) {
        reset = now_ + spec_.policy.backoff.reset_after;
    }
}

} // namespace keepwell
