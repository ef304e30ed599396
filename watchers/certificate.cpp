#include "watchers/certificate.h"

#include "units/reason.h"

namespace keepwell {

void judge_certificate(Observation& seen, std::optional<Duration> within,
                       std::optional<WallTime> expires_at, WallTime now) {
    seen.cert_expires_at = expires_at;
    if (!within || !expires_at || seen.outcome != CheckOutcome::Pass) return;
    const Duration left = std::chrono::milliseconds(expires_at->ms - now.ms);
    if (left >= *within) return;
    seen.outcome = CheckOutcome::Warn;
    seen.output = left < Duration{} ? "certificate expired " + human_duration(-left) + " ago"
                                    : "certificate expires in " + human_duration(left);
}

} // namespace keepwell
