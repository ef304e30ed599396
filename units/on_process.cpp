#include "units/lifecycle.h"

#include "units/restart_policy.h"

namespace keepwell {

void Lifecycle::await_ready() noexcept {
    const bool by_age = spec_.ready.kind == ReadyKind::Started;
    set_deadline(TimerKind::Ready, by_age ? kAliveTime : spec_.ready_timeout);
}

void Lifecycle::on(const event::Spawned& e) noexcept {
    if (stale(e.generation)) return;
    if (external() || r_.state != State::Starting || alive()) {
        drop(); // a repeated answer
        return;
    }
    r_.pid = e.pid;
    r_.main_alive = true;
    r_.tree_alive = true;
    r_.started_at = e.started_at == Instant{} ? now_ : e.started_at;
    Note n;
    n.kind = NoteKind::Started;
    n.code = e.pid;
    note(n);
    if (r_.desired == Desired::Stopped) {
        begin_stop(r_.reason);
        return;
    }
    await_ready();
    out_.push_back(effect::StartChecks{r_.generation});
}

void Lifecycle::on(const event::SpawnFailed& e) noexcept {
    if (stale(e.generation)) return;
    if (external() || r_.state != State::Starting || alive()) {
        drop();
        return;
    }
    Note n;
    n.kind = NoteKind::SpawnFailed;
    n.stage = e.stage;
    n.code = e.error;
    note(n);
    if (r_.desired == Desired::Stopped) {
        decide();
        return;
    }
    r_.reason = reason_of(e.transient ? ReasonKind::HostBusy : ReasonKind::SpawnFailed);
    r_.reason.stage = e.stage;
    r_.reason.code = e.error;
    if (!e.transient) {
        decide();
        return;
    }
    incident();
    Note wait;
    wait.kind = NoteKind::Backoff;
    wait.delay = charge_transient(spec_.policy, r_, jitter_);
    set_state(State::Backoff, r_.reason);
    set_deadline(TimerKind::Retry, wait.delay);
    note(wait);
}

void Lifecycle::on(const event::Adopted& e) noexcept {
    if (external() || e.generation == 0 || e.generation < r_.generation) {
        drop();
        return;
    }
    const bool remembered = e.generation == r_.generation;
    if (!remembered) {
        // The keeper knows more starts than this record: the state was lost, the daemon was not.
        if (r_.generation == 0 && spec_.autostart && spec_.enabled) r_.desired = Desired::Running;
        r_.generation = e.generation;
        zero_counters();
    }
    const State before = r_.state;
    r_.pid = e.pid;
    r_.main_alive = true;
    r_.tree_alive = true;
    r_.started_at = e.started_at;
    Note n;
    n.kind = NoteKind::Adopted;
    n.code = e.pid;
    note(n);
    if (before == State::Stopping) { // the order may have died with the supervisor that gave it
        if (!r_.deadline(TimerKind::Kill)) {
            set_deadline(TimerKind::Kill, spec_.policy.stop.timeout);
        }
        out_.push_back(effect::StopChecks{});
        out_.push_back(effect::Terminate{r_.generation});
        return;
    }
    if (r_.desired == Desired::Stopped) {
        begin_stop(r_.reason);
        return;
    }
    take_up(before, remembered);
}

void Lifecycle::take_up(State before, bool remembered) noexcept {
    const Duration age = now_ - r_.started_at;
    const bool proves_itself =
        spec_.ready.kind == ReadyKind::Check || spec_.ready.kind == ReadyKind::Notify;
    const bool was_starting = remembered && before == State::Starting;
    if (before == State::Running) {
        set_state(State::Running, r_.reason);
    } else if (was_starting && proves_itself) {
        // Time nobody could look at it does not count against it.
        const Duration left = spec_.ready_timeout - age;
        set_state(State::Starting, r_.reason);
        set_deadline(TimerKind::Ready, left > 0s ? left : spec_.ready_timeout);
    } else if (age < kAliveTime) {
        set_state(State::Starting, r_.reason);
        await_ready();
        if (spec_.ready.kind == ReadyKind::Started)
            set_deadline(TimerKind::Ready, kAliveTime - age);
    } else {
        running();
    }
    out_.push_back(effect::StartChecks{r_.generation});
}

void Lifecycle::on(const event::MainChanged& e) noexcept {
    if (stale(e.generation)) return;
    if (external() || !r_.main_alive || e.pid <= 0 || e.pid == r_.pid) {
        drop(); // it ended meanwhile, or this is said twice
        return;
    }
    r_.pid = e.pid;
    Note n;
    n.kind = NoteKind::MainChanged;
    n.code = e.pid;
    note(n);
}

void Lifecycle::on(const event::Ready& e) noexcept {
    if (stale(e.generation)) return;
    if (r_.state == State::Starting && r_.main_alive) running();
}

void Lifecycle::on(const event::Exited& e) noexcept {
    if (stale(e.generation)) return;
    // An exit without a Spawned: the start was under way when the supervisor died.
    const bool unseen = r_.state == State::Starting && !alive();
    if (external() || (!r_.main_alive && !unseen)) {
        drop();
        return;
    }
    r_.main_alive = false;
    r_.tree_alive = true; // until TreeEmpty says otherwise
    r_.pid = 0;
    r_.last_exit = e.status;
    r_.last_exit_at = now_;
    Note n;
    n.kind = NoteKind::Exited;
    n.status = e.status;
    note(n);
    if (r_.state == State::Stopping) return;
    Reason cause = reason_of(ReasonKind::Exited);
    cause.status = e.status;
    if (r_.desired == Desired::Running && hands_off()) {
        set_state(State::Stopping, cause); // its left-overs are nobody's business now
        out_.push_back(effect::StopChecks{});
        return;
    }
    begin_stop(unseen && r_.desired == Desired::Stopped ? r_.reason : cause);
}

void Lifecycle::on(const event::TreeEmpty& e) noexcept {
    if (stale(e.generation)) return;
    const bool unseen = r_.state == State::Starting && !alive();
    if (external() || (!alive() && !unseen)) {
        drop();
        return;
    }
    if (r_.main_alive || unseen) { // nobody saw it end
        r_.last_exit = ExitStatus{};
        r_.last_exit_at = now_;
        note(NoteKind::Exited);
        if (r_.state != State::Stopping) {
            out_.push_back(effect::StopChecks{});
            if (r_.desired == Desired::Running) r_.reason = reason_of(ReasonKind::Exited);
        }
    }
    r_.main_alive = false;
    r_.tree_alive = false;
    note(NoteKind::TreeEmpty);
    decide();
}

void Lifecycle::on(const event::StopFinished& e) noexcept {
    if (stale(e.generation)) return;
    // Whether a stop command worked shows in the tree, and the Kill deadline covers the rest. What
    // is refused goes on, and so does watching it.
    if (!e.refused || r_.state != State::Stopping || !r_.main_alive) return;
    const bool healing = r_.desired == Desired::Running && !r_.restart_now;
    note(NoteKind::StopRefused);
    r_.desired = Desired::Running;
    r_.restart_now = false;
    set_state(State::Running, {});
    if (healing) hold_off(e.transient);
    out_.push_back(effect::StartChecks{r_.generation});
}

// A restart that was refused is tried again no sooner and no more often than one that failed.
void Lifecycle::hold_off(bool transient) noexcept {
    Note n;
    n.kind = NoteKind::Backoff;
    if (transient) {
        n.delay = charge_transient(spec_.policy, r_, jitter_);
    } else {
        const auto restarts = r_.restarts_total; // it was none
        const RestartPlan plan = charge(spec_.policy, r_, now_, jitter_);
        r_.restarts_total = restarts;
        n.delay = plan.delay;
        n.count = static_cast<std::uint32_t>(r_.restarts.size());
        n.of = spec_.policy.budget.restarts;
        if (plan.newly_spent) {
            Note spent;
            spent.kind = NoteKind::BudgetSpent;
            spent.count = n.of;
            note(spent);
        }
        constexpr auto kForGood = std::chrono::hours(24 * 365 * 100);
        if (plan.kind == RestartKind::Cooldown) n.kind = NoteKind::Cooldown;
        if (plan.kind == RestartKind::GiveUp) {
            n.kind = NoteKind::GaveUp;
            n.delay = kForGood;
        }
    }
    note(n);
    r_.current_delay = {};
    r_.step_at = now_ + n.delay;
}

} // namespace keepwell
