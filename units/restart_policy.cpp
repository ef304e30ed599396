#include "units/restart_policy.h"

#include "units/machine.h"

#include <algorithm>
#include <cmath>
#include <new>

namespace keepwell {

Duration backoff_delay(const BackoffPolicy& policy, std::uint32_t n, double jitter) noexcept {
    const auto initial = static_cast<double>(policy.initial.count());
    const auto max = static_cast<double>(policy.max.count());
    const double exponent = n > 1 ? static_cast<double>(n - 1) : 0.0;
    double delay = initial * std::pow(policy.factor, exponent);
    if (!(delay < max)) delay = max; // also infinity and NaN
    const double unit = std::clamp(jitter, 0.0, 1.0);
    delay *= 1.0 + policy.jitter * (2.0 * unit - 1.0);
    // A century is far from the edge of Duration, so that now + delay cannot overflow.
    constexpr double kCentury = 100.0 * 365 * 86400 * 1e9;
    return Duration{static_cast<Duration::rep>(std::clamp(delay, 0.0, kCentury))};
}

RestartPlan charge(const Policy& policy, UnitRecord& r, Instant now, double jitter) noexcept {
    const BudgetPolicy& budget = policy.budget;
    std::erase_if(r.restarts, [&](Instant t) { return t <= now - budget.within; });
    if (r.budget_spent || r.restarts.size() >= budget.restarts) {
        const bool newly = !r.budget_spent;
        r.budget_spent = true;
        if (budget.then == BudgetThen::Stop) {
            r.current_delay = {};
            return {RestartKind::GiveUp, {}, newly};
        }
        ++r.restarts_total;
        r.current_delay = budget.cooldown;
        return {RestartKind::Cooldown, budget.cooldown, newly};
    }
    ++r.streak;
    ++r.restarts_total;
    try {
        r.restarts.push_back(now);
    } catch (const std::bad_alloc&) {
        // A restart that cannot be remembered must not make the budget endless: go slow instead.
        r.budget_spent = true;
    }
    r.current_delay = backoff_delay(policy.backoff, r.streak, jitter);
    return {RestartKind::Backoff, r.current_delay, false};
}

Duration charge_transient(const Policy& policy, UnitRecord& r, double jitter) noexcept {
    ++r.transient_streak;
    r.current_delay = backoff_delay(policy.backoff, r.transient_streak, jitter);
    return r.current_delay;
}

bool has_troubles(const UnitRecord& r) noexcept {
    return r.streak > 0 || r.transient_streak > 0 || r.budget_spent || !r.restarts.empty();
}

void forget_troubles(UnitRecord& r) noexcept {
    r.streak = 0;
    r.transient_streak = 0;
    r.budget_spent = false;
    r.restarts.clear();
    r.current_delay = {};
}

bool is_success(const Policy& policy, const ExitStatus& status) noexcept {
    return status.known && status.signal == 0 &&
           std::ranges::find(policy.success_exit_codes, status.code) !=
               policy.success_exit_codes.end();
}

} // namespace keepwell
