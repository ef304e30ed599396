// How long a certificate is still good, as part of a check's result. Pure.
#pragma once

#include "watchers/check_scheduler.h"

#include <optional>

namespace keepwell {

// A passing result becomes a warning when the certificate ends within the given time.
void judge_certificate(Observation&, std::optional<Duration> within,
                       std::optional<WallTime> expires_at, WallTime now);

} // namespace keepwell
