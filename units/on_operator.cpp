#include "units/lifecycle.h"

#include "units/check_counter.h"
#include "units/restart_policy.h"

namespace keepwell {

void Lifecycle::start_external() noexcept {
    if (r_.generation == 0 || r_.state != State::Running) {
        new_generation();
        r_.started_at = now_;
        set_state(State::Running, {});
    }
    // Also when it ran already: after a restart of the supervisor nobody runs its checks yet.
    out_.push_back(effect::StartChecks{r_.generation});
}

void Lifecycle::on(const event::Start&) noexcept {
    const bool wanted_before = r_.desired == Desired::Running;
    r_.desired = Desired::Running;
    if (external()) {
        start_external();
        return;
    }
    const Reason why = reason_of(r_.generation == 0 && spec_.autostart ? ReasonKind::Autostart
                                                                       : ReasonKind::Operator);
    switch (r_.state) {
    case State::Stopped:
    case State::Backoff:
    case State::Cooldown:
    case State::Completed:
    case State::Failed:
    case State::Unknown:
    case State::Waiting:
        note(NoteKind::OperatorStart);
        forget_troubles(r_);
        begin_start(why);
        return;
    case State::Stopping:
        note(NoteKind::OperatorStart);
        forget_troubles(r_);
        r_.restart_now = true;
        if (left_alone()) begin_stop(why);
        return;
    case State::Starting:
    case State::Running:
        if (!wanted_before) note(NoteKind::OperatorStart);
        return;
    }
}

void Lifecycle::on(const event::Restart&) noexcept {
    r_.desired = Desired::Running;
    note(NoteKind::OperatorRestart);
    if (external()) {
        r_.state = State::Stopped; // so that the counters start afresh
        start_external();
        return;
    }
    forget_troubles(r_);
    const Reason why = reason_of(ReasonKind::Operator);
    switch (r_.state) {
    case State::Stopped:
    case State::Backoff:
    case State::Cooldown:
    case State::Completed:
    case State::Failed:
    case State::Unknown:
    case State::Waiting: begin_start(why); return;
    case State::Stopping:
        r_.restart_now = true;
        if (left_alone()) begin_stop(why);
        return;
    case State::Starting:
        // Nothing there yet: this very start is as fresh as another.
        if (!alive()) return;
        [[fallthrough]];
    case State::Running:
        r_.restart_now = true;
        begin_stop(why);
        return;
    }
}

void Lifecycle::on(const event::Stop&) noexcept {
    if (r_.desired == Desired::Stopped && r_.state == State::Stopped) return;
    note(NoteKind::OperatorStop);
    stop_wanted(reason_of(ReasonKind::Operator));
}

void Lifecycle::on(const event::Shutdown&) noexcept {
    stop_wanted(reason_of(ReasonKind::Shutdown));
}

void Lifecycle::stop_wanted(const Reason& reason) noexcept {
    r_.desired = Desired::Stopped;
    r_.restart_now = false;
    if (external()) {
        if (r_.state != State::Stopped) out_.push_back(effect::StopChecks{});
        set_state(State::Stopped, reason);
        return;
    }
    switch (r_.state) {
    case State::Stopped: return;
    case State::Waiting:
    case State::Backoff:
    case State::Cooldown:
    case State::Completed:
    case State::Failed:
    case State::Unknown:
        if (alive()) {
            begin_stop(reason);
        } else {
            set_state(State::Stopped, reason);
        }
        return;
    case State::Starting:
        if (alive()) {
            begin_stop(reason);
        } else {
            r_.reason = reason; // the answer to Spawn is still to come
        }
        return;
    case State::Running: begin_stop(reason); return;
    case State::Stopping:
        if (left_alone()) {
            begin_stop(reason);
        } else if (r_.reason.kind != ReasonKind::Unkillable) {
            r_.reason = reason;
        }
        return;
    }
}

void Lifecycle::on(const event::Pause& e) noexcept {
    r_.paused = true;
    r_.deadline(TimerKind::PauseEnd) = e.until;
    note(NoteKind::Paused);
}

void Lifecycle::on(const event::Resume&) noexcept { resume(); }

void Lifecycle::resume() noexcept {
    if (!r_.paused) return;
    r_.paused = false;
    r_.deadline(TimerKind::PauseEnd).reset();
    note(NoteKind::Resumed);
    const bool waits = r_.state == State::Backoff || r_.state == State::Cooldown;
    if (waits && !alive() && !r_.deadline(TimerKind::Retry)) set_deadline(TimerKind::Retry, 0s);
    if (left_alone() && !hands_off()) begin_stop(r_.reason);
    const bool late = r_.state == State::Starting && r_.main_alive;
    if (late && !r_.deadline(TimerKind::Ready)) await_ready();
}

void Lifecycle::on(const event::Reset&) noexcept {
    note(NoteKind::OperatorReset);
    forget_troubles(r_);
    zero_counters();
    r_.incident_attempts = 0;
    r_.step_at.reset();
    const bool stuck =
        r_.state == State::Failed || r_.state == State::Cooldown || r_.state == State::Backoff;
    if (stuck && r_.desired == Desired::Running) begin_start(reason_of(ReasonKind::Operator));
}

void Lifecycle::on(const event::Reconfigured&) noexcept {}

void Lifecycle::on(const event::Dependencies& e) noexcept {
    r_.blocked_by = e.blocked_by;
    r_.hold = e.hold;
    if (r_.state == State::Waiting && r_.desired == Desired::Running) begin_start({});
}

} // namespace keepwell
