// The verdict of a unit from its lifecycle and its checks, and the reason a running unit shows.
// Pure; no memory of its own.
#pragma once

#include "units/record.h"
#include "units/unit_spec.h"

namespace keepwell {

Verdict worse(Verdict, Verdict) noexcept; // down > degraded > unknown > healthy

Verdict verdict_of(const UnitSpec&, const UnitRecord&) noexcept;

// The worst check's, for a running unit; None when all is well.
Reason running_reason(const UnitSpec&, const UnitRecord&) noexcept;

// The process ended by itself in a way that its policy calls the end of the job.
bool completes(const UnitSpec&, const Reason& cause) noexcept;
bool ended_well(const UnitSpec&, const Reason& cause) noexcept;

} // namespace keepwell
