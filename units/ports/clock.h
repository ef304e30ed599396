// Port: reading time. now() is CLOCK_MONOTONIC; wall() is for display only.
#pragma once
#include "units/time.h"
namespace keepwell {
class Clock {
  public:
    virtual ~Clock() = default;
    virtual Instant now() const noexcept = 0;
    virtual WallTime wall() const noexcept = 0;
};
} // namespace keepwell
