// What is seen of units that others may start and stop too: PID-file daemons, systemd units,
// matched processes. Reality wins over what was wanted, except over an order of our own that is
// under way.
#include "units/lifecycle.h"

namespace keepwell {

void Lifecycle::on(const event::Appeared& e) noexcept {
    if (!observed()) {
        drop();
        return;
    }
    const bool known =
        r_.generation != 0 && r_.pid == e.pid && r_.started_at == e.started_at && r_.main_alive;
    if (!known) {
        see_new_instance(e);
        return;
    }
    const State before = r_.state;
    if (before == State::Stopping) {
        drop(); // our order is under way
        return;
    }
    if (r_.desired == Desired::Stopped) {
        begin_stop(r_.reason);
        return;
    }
    take_up(before, true);
}

void Lifecycle::see_new_instance(const event::Appeared& e) noexcept {
    const bool against_order = r_.state == State::Stopping && r_.desired == Desired::Stopped;
    const Reason order = r_.reason;
    if (order.kind == ReasonKind::Held) ++r_.restarts_total;
    new_generation();
    r_.pid = e.pid;
    r_.main_alive = true;
    r_.tree_alive = true;
    r_.started_at = e.started_at;
    Note n;
    n.kind = NoteKind::Appeared;
    n.code = e.pid;
    note(n);
    if (against_order) {
        begin_stop(order);
        return;
    }
    r_.desired = Desired::Running;
    r_.reason = {};
    take_up(State::Stopped, false);
}

// The main process and its tree, in one.
void Lifecycle::lose(const ExitStatus& status) noexcept {
    if (r_.main_alive) {
        r_.last_exit = status;
        r_.last_exit_at = now_;
        Note n;
        n.kind = NoteKind::Gone;
        n.status = status;
        note(n);
    }
    r_.main_alive = false;
    r_.tree_alive = false;
    r_.pid = 0;
    if (r_.state != State::Stopping) out_.push_back(effect::StopChecks{});
}

void Lifecycle::on(const event::Absent& e) noexcept {
    const bool was_there = alive();
    const bool first_look = r_.state == State::Unknown;
    if (!observed() || (!was_there && !first_look && r_.state != State::Starting)) {
        drop();
        return;
    }
    const bool ours = r_.state == State::Stopping;
    if (was_there) lose(e.status);
    if (e.on_purpose && !ours && (r_.desired == Desired::Running || first_look)) {
        r_.desired = Desired::Stopped;
        note(NoteKind::StoppedElsewhere);
        set_state(State::Stopped, reason_of(ReasonKind::StoppedElsewhere));
        return;
    }
    if (!was_there && first_look && r_.desired == Desired::Running) { // it was waiting for a start
        if (r_.current_delay <= 0s || r_.paused) {
            begin_start(r_.reason);
            return;
        }
        set_state(State::Backoff, r_.reason);
        set_deadline(TimerKind::Retry, r_.current_delay);
        return;
    }
    if (!ours) r_.reason = {};
    if (!ours && r_.desired == Desired::Running) {
        r_.reason = reason_of(ReasonKind::Exited);
        r_.reason.status = e.status;
    }
    decide();
}

void Lifecycle::on(const event::Held& e) noexcept {
    if (!observed() || !alive()) {
        drop();
        return;
    }
    if (r_.state == State::Stopping && r_.desired == Desired::Stopped) return; // ours comes last
    if (r_.state == State::Backoff) return;                                    // said already
    lose(e.status);
    r_.tree_alive = true; // in systemd's hands: nothing is started beside it
    incident();
    note(NoteKind::Held);
    Reason reason = reason_of(ReasonKind::Held);
    reason.status = e.status;
    set_state(State::Backoff, reason);
    r_.current_delay = {};
}

void Lifecycle::on(const event::Blind& e) noexcept {
    const bool settled = r_.state == State::Completed || r_.state == State::Failed;
    if (!observed() || settled) {
        drop();
        return;
    }
    Reason reason = reason_of(ReasonKind::Blind);
    reason.code = static_cast<std::int32_t>(e.why);
    if (r_.state == State::Unknown && r_.reason == reason) return;
    if (alive()) out_.push_back(effect::StopChecks{});
    Note n;
    n.kind = NoteKind::Blinded;
    n.code = reason.code;
    note(n);
    set_state(State::Unknown, reason);
}

} // namespace keepwell
