// The counter of one check: results in, "pending, tripped, recovered" out.
//
// Trips after CheckSpec::failures consecutive counted failures, or when the window policy is met;
// CheckSpec::successes consecutive passes untrip it. One pass resets the count. Pure; whether a
// failure counts (grace, blame, lag) is the caller's decision.
#pragma once

#include "units/record.h"
#include "units/unit_spec.h"

#include <optional>

namespace keepwell {

struct CheckRun {
    CheckOutcome outcome = CheckOutcome::Pass;
    int code = 0;
    CheckEffect effect = CheckEffect::Down; // what a failure would do to the verdict
    bool counted = true;                    // failures only: passes always count
    Instant at{};
};

enum class CheckChange {
    None,      // nothing to tell: another pass, or a failure that does not count
    Pending,   // counted, still below the threshold
    Tripped,   // the threshold is met by this result
    Failing,   // counted, was tripped before
    Warned,    // the first of a run of warnings
    Passed,    // ends a run of failures below the threshold
    Recovered, // ends a tripped state
};

CheckChange count_run(CheckCounter&, const CheckSpec&, const std::optional<WindowPolicy>&,
                      const CheckRun&) noexcept;

// Zeroed for a new generation (or a reset); only `enabled` stays.
void zero(CheckCounter&) noexcept;

// Failures the window holds, for "(5/10)".
std::uint32_t failures_in(const CheckCounter&, const WindowPolicy&) noexcept;

} // namespace keepwell
