// Whether and when a unit that ended is started again: budget and backoff as pure arithmetic.
//
// charge() writes the restart bookkeeping of the record (streak, restarts, budget_spent,
// restarts_total, current_delay) and nothing else.
#pragma once

#include "units/record.h"
#include "units/unit_spec.h"

namespace keepwell {

enum class RestartKind { Backoff, Cooldown, GiveUp };
struct RestartPlan {
    RestartKind kind = RestartKind::Backoff;
    Duration delay{};
    bool newly_spent = false; // this decision found the budget spent
};

RestartPlan charge(const Policy&, UnitRecord&, Instant now, double jitter) noexcept;

// A transient spawn failure: its own streak, no budget.
Duration charge_transient(const Policy&, UnitRecord&, double jitter) noexcept;

bool has_troubles(const UnitRecord&) noexcept; // anything a reset would clear
void forget_troubles(UnitRecord&) noexcept;    // streaks and budget

bool is_success(const Policy&, const ExitStatus&) noexcept;

} // namespace keepwell
