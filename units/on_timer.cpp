#include "units/lifecycle.h"

#include "units/restart_policy.h"

#include <algorithm>

namespace keepwell {

void Lifecycle::on(const event::Timer& e) noexcept {
    auto& deadline = r_.deadline(e.kind);
    if (!deadline || now_ + kTimerSlack < *deadline) {
        drop(); // it was cancelled or moved while this event was under way
        return;
    }
    deadline.reset();
    switch (e.kind) {
    case TimerKind::Ready:
        if (r_.state == State::Starting && r_.main_alive) {
            spec_.ready.kind == ReadyKind::Started ? running() : not_ready();
        }
        return;
    case TimerKind::Kill:
        if (r_.state == State::Stopping) escalate();
        return;
    case TimerKind::Retry:
        if (r_.state == State::Backoff || r_.state == State::Cooldown) retry();
        return;
    case TimerKind::Reset:
        forget_troubles(r_);
        note(NoteKind::BackoffReset);
        return;
    case TimerKind::PauseEnd: resume(); return;
    }
}

void Lifecycle::not_ready() noexcept {
    note(NoteKind::NotReady);
    incident();
    const Reason reason = reason_of(ReasonKind::NotReady);
    if (const auto why = hands_off()) {
        r_.reason = reason;
        would_restart(*why);
        return;
    }
    begin_stop(reason);
}

void Lifecycle::escalate() noexcept {
    const StopPolicy& stop = spec_.policy.stop;
    set_deadline(TimerKind::Kill, std::max<Duration>(stop.timeout, kKillPeriod));
    if (stop.kill != KillScope::Never) {
        ++r_.kills_sent;
        Note n;
        n.kind = NoteKind::KillSent;
        n.code = 9;
        n.count = r_.kills_sent;
        note(n);
        out_.push_back(effect::Kill{r_.generation});
        if (r_.kills_sent < 2) return;
    }
    // The status of a main process that ended by itself stays in the reason: decide() needs it.
    if (r_.reason.kind != ReasonKind::Exited && r_.reason.kind != ReasonKind::Unkillable) {
        r_.reason.status = {};
    }
    r_.reason.kind = ReasonKind::Unkillable;
    note(NoteKind::Unkillable);
}

void Lifecycle::retry() noexcept {
    if (r_.paused) { // stays without a deadline; Resume gives it one
        would_restart(2);
        return;
    }
    if (r_.desired == Desired::Stopped) return;
    begin_start(r_.reason);
}

} // namespace keepwell
