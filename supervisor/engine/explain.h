// Explain: the policy of a unit as a schedule, before anything happens (`keepwell explain`).
//
// Pure text from a UnitSpec; no clock, no state. Topics come in the order of events: trip, grace,
// stop, restarts, then, worst, … Times are those of the policy without jitter.
#pragma once

#include "units/unit_spec.h"

#include <string>
#include <vector>

namespace keepwell {

struct PolicyLine {
    std::string topic, text;
};

std::vector<PolicyLine> explain_policy(const UnitSpec&);

// "web (keepwell.toml:14, inherits default)"
std::string policy_title(const UnitSpec&);

} // namespace keepwell
