// When a check runs: the pure arithmetic of phases and grids. Plain functions of instants.
#pragma once

#include "units/time.h"

#include <cstdint>
#include <string_view>

namespace keepwell {

// The same in every process and version: a restart of the supervisor must not move the phases.
std::uint64_t check_hash(std::string_view unit_key, std::string_view check_id) noexcept;

// Offset of the first run: in [0, min(1 s, interval)).
Duration first_offset(std::uint64_t hash, Duration interval) noexcept;

// The next instant of the check's grid that is later than `now` and at least interval/4 after the
// start of the last run. interval is at least 1 ms.
Instant next_slot(std::uint64_t hash, Duration interval, Instant last_start, Instant now) noexcept;

} // namespace keepwell
