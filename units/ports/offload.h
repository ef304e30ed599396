// Port: short work that may block (a file on a dead network disk, /proc), away from the loop.
//
// done is called on the loop after the work, exactly once unless cancelled. Work that hangs keeps
// its thread; each lane has few of them, so that one kind of work never holds up another, nor the
// files that the supervisor itself writes.
#pragma once
#include <cstdint>
#include <functional>
namespace keepwell {
using OffloadId = std::uint64_t; // 0 = none
class Offload {
  public:
    enum class Lane { Proc, Disk, Bus, Logs };
    virtual ~Offload() = default;
    virtual OffloadId run(Lane, std::function<void()> work, std::function<void()> done) = 0;
    // done is not called any more. False: the work had not begun, and never will.
    virtual bool cancel(OffloadId) noexcept = 0;
};
} // namespace keepwell
