// LagMeter: did the loop stand still, so that what looks late is late for no fault of others?
//
// Before each wait it notes when the loop means to be awake again; to be later than that by more
// than kLag is a stall: a stopped or starved process, a paused machine, a callback that blocked.
// Asking is cheap and is right also from a callback that runs before the loop has noticed. One
// thread.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/clock.h"

namespace keepwell::uv {

class LagMeter {
  public:
    static constexpr Duration kLag = std::chrono::milliseconds(500);

    LagMeter(Loop&, const Clock&);
    bool stalled_since(Instant);

  private:
    void look();

    Loop& loop_;
    const Clock& clock_;
    Instant awake_at_ = Instant::max();   // when the wait that came last shall end
    Instant last_stall_ = Instant::min(); // when one was seen
    Prepare before_wait_;
};

} // namespace keepwell::uv
