// Time as the pure core knows it: two strong types and no clock.
//
// Instant is a point on CLOCK_MONOTONIC in nanoseconds; it is the same for every process of one
// boot, so deadlines survive a restart of the supervisor. Nothing here can read a clock: "now" is
// always passed in. WallTime is for display only and never takes part in a decision.
#pragma once

#include <chrono>
#include <cstdint>

namespace keepwell {

struct Monotonic {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = std::chrono::nanoseconds;
    using time_point = std::chrono::time_point<Monotonic, duration>;
    static constexpr bool is_steady = true;
};

using Duration = std::chrono::nanoseconds;
using Instant = Monotonic::time_point;

// Milliseconds since 1970-01-01 UTC. 0 means "never".
struct WallTime {
    std::int64_t ms = 0;
    friend constexpr auto operator<=>(const WallTime&, const WallTime&) = default;
};

} // namespace keepwell
