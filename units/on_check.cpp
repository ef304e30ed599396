#include "units/lifecycle.h"

#include "units/check_counter.h"
#include "units/verdict.h"

#include <algorithm>

namespace keepwell {

void Lifecycle::on(const event::CheckResult& e) noexcept {
    if (stale(e.generation)) return;
    const bool observed =
        r_.state == State::Running || (r_.state == State::Starting && r_.main_alive);
    if (e.check >= r_.checks.size() || e.check >= spec_.checks.size() || !observed) {
        drop();
        return;
    }
    const CheckSpec& check = spec_.checks[e.check];
    CheckCounter& c = r_.checks[e.check];
    if (!c.enabled) {
        drop();
        return;
    }
    // Grace belongs to a start, and nobody here started an external unit.
    const bool in_grace = !external() && !c.passed && now_ - r_.started_at < check.grace;
    CheckRun run;
    run.outcome = e.outcome;
    run.code = e.code;
    run.effect = e.has_override ? e.effect_override : check.effect;
    run.counted = e.counts && !r_.blocked_by && !in_grace;
    run.at = now_;
    const CheckChange change = count_run(c, check, spec_.policy.window, run);
    Note n;
    n.check = e.check;
    n.code = e.code;
    n.count = c.failures;
    n.of = std::max(check.failures, 1U);
    switch (change) {
    case CheckChange::None: return;
    case CheckChange::Warned:
        n.kind = NoteKind::CheckWarned;
        note(n);
        return;
    case CheckChange::Passed:
    case CheckChange::Recovered:
        n.kind = NoteKind::CheckPassed;
        note(n);
        return;
    case CheckChange::Pending:
        n.kind = NoteKind::CheckFailed;
        note(n);
        return;
    case CheckChange::Tripped:
        n.kind = NoteKind::CheckFailed;
        note(n);
        n.kind = NoteKind::Tripped;
        note(n);
        if (c.effect != CheckEffect::None) incident();
        heal(e.check, e, true);
        return;
    case CheckChange::Failing: heal(e.check, e, false); return;
    }
}

bool Lifecycle::may_heal(const event::CheckResult& e) const noexcept {
    const CheckCounter& c = r_.checks[e.check];
    return c.effect == CheckEffect::Down && spec_.checks[e.check].heals && !external() &&
           r_.desired == Desired::Running && c.step_wait == 0 && !spec_.policy.ladder.empty();
}

std::size_t Lifecycle::ladder_index(std::uint32_t attempt) const noexcept {
    const auto& ladder = spec_.policy.ladder;
    if (attempt < ladder.size()) return attempt;
    // Past the end the last restart repeats; a ladder without one repeats its last step.
    for (std::size_t i = ladder.size(); i-- > 0;) {
        if (ladder[i].kind == LadderKind::Restart) return i;
    }
    return ladder.size() - 1;
}

bool Lifecycle::too_soon(const CheckSpec& check) const noexcept {
    if (!r_.step_at || r_.incident_attempts == 0) return false;
    const auto& taken = spec_.policy.ladder[ladder_index(r_.incident_attempts - 1)];
    return now_ < *r_.step_at + std::max(taken.cooldown, check.interval);
}

void Lifecycle::heal(CheckIndex index, const event::CheckResult& e, bool just_tripped) noexcept {
    if (!may_heal(e)) return;
    const CheckSpec& check = spec_.checks[index];
    const std::size_t i = ladder_index(r_.incident_attempts);
    const bool restarts = spec_.policy.ladder[i].kind == LadderKind::Restart;
    auto why = hands_off();
    // A unit that is never restarted would only be killed by this.
    if (!why && restarts && spec_.policy.restart == RestartMode::Never) why = 3;
    if (why) {
        if (just_tripped) would_restart(*why);
        return;
    }
    if (too_soon(check)) return;
    if (!e.heal_allowed) {
        Note n;
        n.kind = NoteKind::HeldByStormGuard;
        n.check = index;
        note(n);
        return;
    }
    ++r_.incident_attempts;
    r_.step_at = now_;
    if (restarts) {
        Reason cause = running_reason(spec_, r_);
        if (cause.kind != ReasonKind::CheckFailing || cause.check != index) {
            cause = reason_of(ReasonKind::CheckFailing);
            cause.check = index;
            cause.code = e.code;
            cause.count = r_.checks[index].failures;
            cause.of = std::max(check.failures, 1U);
        }
        begin_stop(cause);
        return;
    }
    r_.checks[index].step_wait = std::max(check.failures, 1U);
    out_.push_back(effect::RunLadder{r_.generation, static_cast<std::uint16_t>(i)});
}

void Lifecycle::on(const event::CheckEnabled& e) noexcept {
    if (e.check >= r_.checks.size() || r_.checks[e.check].enabled == e.enabled) return;
    zero(r_.checks[e.check]);
    r_.checks[e.check].enabled = e.enabled;
}

} // namespace keepwell
