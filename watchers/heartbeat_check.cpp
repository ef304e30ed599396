#include "watchers/heartbeat_check.h"

#include "watchers/text.h"

#include <algorithm>

namespace keepwell {

bool heartbeat_is_silent(const HeartbeatCheckSpec& spec, const Beats& beats, Instant now) {
    return !beats.any && !beats.trouble && now - beats.last <= spec.within;
}

Observation evaluate_heartbeat(const HeartbeatCheckSpec& spec, const Beats& beats, Instant now) {
    const Duration since = std::max(now - beats.last, Duration{});
    const bool late = since > spec.within;
    Observation seen;
    seen.outcome = late || beats.trouble ? CheckOutcome::Fail : CheckOutcome::Pass;
    if (beats.trouble)
        seen.output = "it reported trouble itself";
    else if (late)
        seen.output = "no beat for " + short_duration(since) + " (within " +
                      short_duration(spec.within) + ")";
    else
        seen.output = "beat " + short_duration(since) + " ago";
    return seen;
}

} // namespace keepwell
