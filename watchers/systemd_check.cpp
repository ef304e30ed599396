#include "watchers/systemd_check.h"

#include <algorithm>

namespace keepwell {

Observation evaluate_systemd(const SystemdCheckSpec& spec, const std::string& active_state) {
    Observation seen;
    seen.output = clean_text(active_state, 80);
    if (std::ranges::find(spec.states, active_state) != spec.states.end()) return seen;
    seen.outcome = CheckOutcome::Fail;
    std::string wanted;
    for (const std::string& state : spec.states)
        wanted += (wanted.empty() ? "" : " or ") + clean_text(state, 40);
    seen.output = clean_text(spec.unit, 120) + " is " + seen.output + ", expected " + wanted;
    return seen;
}

} // namespace keepwell
