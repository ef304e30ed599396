#include "units/verdict.h"

#include "units/check_counter.h"
#include "units/restart_policy.h"

#include <algorithm>

namespace keepwell {

namespace {

int rank(Verdict v) noexcept {
    switch (v) {
    case Verdict::Down: return 3;
    case Verdict::Degraded: return 2;
    case Verdict::Unknown: return 1;
    case Verdict::Healthy: return 0;
    }
    return 1;
}

Verdict verdict_of(CheckEffect e) noexcept {
    switch (e) {
    case CheckEffect::Down: return Verdict::Down;
    case CheckEffect::Degraded: return Verdict::Degraded;
    case CheckEffect::Unknown: return Verdict::Unknown;
    case CheckEffect::None: return Verdict::Healthy;
    }
    return Verdict::Unknown;
}

Verdict verdict_of(const CheckSpec& spec, const CheckCounter& c, bool incident) noexcept {
    if (c.tripped) return verdict_of(c.effect);
    if (spec.effect == CheckEffect::None) return Verdict::Healthy;
    // After an incident "it is back" needs proof: a pass of this very generation.
    if (incident && spec.effect == CheckEffect::Down && !c.passed) return Verdict::Down;
    if (!c.ran) return Verdict::Unknown;
    if (c.failures > 0 || c.last == CheckOutcome::Warn) return Verdict::Degraded;
    if (c.last == CheckOutcome::Fail) return c.passed ? Verdict::Degraded : Verdict::Unknown;
    return Verdict::Healthy;
}

Verdict of_checks(const UnitSpec& spec, const UnitRecord& r) noexcept {
    Verdict worst = Verdict::Healthy;
    const std::size_t n = std::min(spec.checks.size(), r.checks.size());
    for (std::size_t i = 0; i < n; ++i) {
        if (!r.checks[i].enabled) continue;
        worst = worse(worst, verdict_of(spec.checks[i], r.checks[i], r.incident_since.has_value()));
    }
    return worst;
}

bool on_purpose(const UnitSpec& spec, const UnitRecord& r) noexcept {
    return r.desired == Desired::Stopped || r.restart_now || completes(spec, r.reason);
}

// How much a check has to say about a running unit; 0 = nothing.
int weight(const CheckSpec& spec, const CheckCounter& c) noexcept {
    if (!c.enabled) return 0;
    if (c.tripped) {
        if (c.effect == CheckEffect::None) return 0;
        return c.effect == CheckEffect::Down ? 5 : 4;
    }
    if (spec.effect == CheckEffect::None || !c.ran) return 0;
    if (c.failures > 0) return 3;
    if (c.last == CheckOutcome::Warn) return 2;
    return c.last == CheckOutcome::Fail ? 1 : 0;
}

Reason reason_of(const UnitSpec& spec, const UnitRecord& r, std::size_t i) noexcept {
    const CheckSpec& check = spec.checks[i];
    const CheckCounter& c = r.checks[i];
    Reason reason;
    const bool warns = c.last == CheckOutcome::Warn && !c.tripped;
    reason.kind = warns ? ReasonKind::CheckWarning : ReasonKind::CheckFailing;
    reason.check = static_cast<CheckIndex>(i);
    reason.code = warns || c.last == CheckOutcome::Fail ? c.last_code : 0;
    reason.count = c.failures;
    reason.of = std::max(check.failures, 1U);
    const auto& window = spec.policy.window;
    if (c.tripped && window && c.failures < reason.of && c.failures > 0) {
        reason.count = failures_in(c, *window);
        reason.of = window->of;
    }
    return reason;
}

} // namespace

Verdict worse(Verdict a, Verdict b) noexcept { return rank(a) >= rank(b) ? a : b; }

Verdict verdict_of(const UnitSpec& spec, const UnitRecord& r) noexcept {
    switch (r.state) {
    case State::Stopped:
    case State::Waiting:
    case State::Unknown: return Verdict::Unknown;
    case State::Completed: return Verdict::Healthy;
    case State::Backoff:
    case State::Cooldown:
    case State::Failed: return Verdict::Down;
    case State::Stopping:
        if (r.reason.kind == ReasonKind::Unkillable) return Verdict::Down;
        if (r.desired == Desired::Running && r.incident_since) return Verdict::Down;
        return on_purpose(spec, r) ? Verdict::Unknown : Verdict::Down;
    case State::Starting:
        if (r.desired == Desired::Stopped) return Verdict::Unknown;
        return r.incident_since ? Verdict::Down : Verdict::Unknown;
    case State::Running: return of_checks(spec, r);
    }
    return Verdict::Unknown;
}

Reason running_reason(const UnitSpec& spec, const UnitRecord& r) noexcept {
    std::size_t best = 0;
    int heaviest = 0;
    const std::size_t n = std::min(spec.checks.size(), r.checks.size());
    for (std::size_t i = 0; i < n; ++i) {
        const int w = weight(spec.checks[i], r.checks[i]);
        if (w > heaviest) {
            heaviest = w;
            best = i;
        }
    }
    if (heaviest == 0) return {};
    if (heaviest < 4 && r.blocked_by && r.checks[best].last == CheckOutcome::Fail) {
        Reason blamed;
        blamed.kind = ReasonKind::Dependency;
        blamed.unit = *r.blocked_by;
        return blamed;
    }
    // A failure in grace counts nothing and shows nothing; the check's own row does.
    if (heaviest == 1 && !r.checks[best].passed) return {};
    return reason_of(spec, r, best);
}

bool ended_well(const UnitSpec& spec, const Reason& cause) noexcept {
    // An unkillable left-over hides the cause's kind but keeps its status.
    const bool by_itself = cause.kind == ReasonKind::Exited || cause.kind == ReasonKind::Unkillable;
    return by_itself && is_success(spec.policy, cause.status);
}

bool completes(const UnitSpec& spec, const Reason& cause) noexcept {
    return spec.policy.restart != RestartMode::Always && ended_well(spec, cause);
}

} // namespace keepwell
