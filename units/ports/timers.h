// Port: one-shot timers. The callback runs on the loop, never from inside arm(); it may arm and
// cancel any timer. cancel() of an id that has fired or is unknown does nothing; after cancel() the
// callback is never called.
#pragma once
#include "units/time.h"
#include <cstdint>
#include <functional>
namespace keepwell {
using TimerId = std::uint64_t; // 0 = none
class Timers {
  public:
    virtual ~Timers() = default;
    virtual TimerId arm(Instant at, std::function<void()> callback) = 0;
    virtual void cancel(TimerId) noexcept = 0;
};
} // namespace keepwell
