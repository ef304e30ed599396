#include "units/check_counter.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace keepwell {

namespace {

void increment(std::uint32_t& n) noexcept {
    if (n < std::numeric_limits<std::uint32_t>::max()) ++n;
}

void remember(CheckCounter& c, bool failed) noexcept {
    c.window = (c.window << 1U) | (failed ? 1U : 0U);
    c.window_count = std::min<std::uint32_t>(c.window_count + 1, 64);
}

bool threshold_met(const CheckCounter& c, const CheckSpec& spec,
                   const std::optional<WindowPolicy>& window) noexcept {
    if (c.failures >= std::max(spec.failures, 1U)) return true;
    return window && window->failures > 0 && failures_in(c, *window) >= window->failures;
}

CheckChange count_failure(CheckCounter& c, const CheckSpec& spec,
                          const std::optional<WindowPolicy>& window, const CheckRun& run) noexcept {
    c.successes = 0;
    c.effect = run.effect;
    if (!run.counted) return CheckChange::None;
    increment(c.failures);
    remember(c, true);
    if (c.tripped) {
        if (c.step_wait > 0) --c.step_wait;
        return CheckChange::Failing;
    }
    if (!threshold_met(c, spec, window)) return CheckChange::Pending;
    c.tripped = true;
    c.step_wait = 0;
    return CheckChange::Tripped;
}

CheckChange count_pass(CheckCounter& c, const CheckSpec& spec, bool warned_before) noexcept {
    const bool had_failures = c.failures > 0;
    c.passed = true;
    c.failures = 0;
    increment(c.successes);
    remember(c, false);
    if (c.tripped) {
        if (c.successes < std::max(spec.successes, 1U)) return CheckChange::None;
        c.tripped = false;
        c.step_wait = 0;
        // Old failures in the window are healed by now; else the next single one would trip again.
        c.window = 0;
        c.window_count = 0;
        return CheckChange::Recovered;
    }
    if (had_failures) return CheckChange::Passed;
    return c.last == CheckOutcome::Warn && !warned_before ? CheckChange::Warned : CheckChange::None;
}

} // namespace

CheckChange count_run(CheckCounter& c, const CheckSpec& spec,
                      const std::optional<WindowPolicy>& window, const CheckRun& run) noexcept {
    const bool warned_before = c.ran && c.last == CheckOutcome::Warn;
    c.ran = true;
    c.last = run.outcome;
    c.last_code = run.code;
    c.last_at = run.at;
    if (run.outcome == CheckOutcome::Fail) return count_failure(c, spec, window, run);
    return count_pass(c, spec, warned_before);
}

void zero(CheckCounter& c) noexcept {
    const bool enabled = c.enabled;
    c = CheckCounter{};
    c.enabled = enabled;
}

std::uint32_t failures_in(const CheckCounter& c, const WindowPolicy& w) noexcept {
    const std::uint64_t mask = w.of >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << w.of) - 1;
    return static_cast<std::uint32_t>(std::popcount(c.window & mask));
}

} // namespace keepwell
