// LagMeter: did the loop stand still, so that what looks late is late for no fault of others?
//
// A turn that takes more than kLag besides its wait, or waits that much longer than it meant to, is
// a stall: a stopped or starved process, a paused machine, a callback that blocked.
// Asking is cheap and is right also from a callback that runs before the loop has noticed. One
// thread.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/clock.h"

#include <functional>

namespace keepwell::uv {

class LagMeter {
  public:
    static constexpr Duration kLag = std::chrono::milliseconds(500);

    LagMeter(Loop&, const Clock&);
    bool stalled_since(Instant);
    // Is told the lag of each turn, at its end.
    void on_turn(std::function<void(Duration)> f) { on_turn_ = std::move(f); }

  private:
    Duration lag(Instant now) const; // since the turn began
    void look(Instant now);
    void turn();

    Loop& loop_;
    const Clock& clock_;
    Instant turned_at_ = Instant::min();  // when the wait that came last was about to begin
    std::uint64_t idle_ns_ = 0;           // libuv's, at that moment
    Instant awake_at_ = Instant::max();   // when that wait shall end
    Instant last_stall_ = Instant::min(); // when one was seen
    std::function<void(Duration)> on_turn_;
    Prepare before_wait_;
    Timer bound_; // of a wait whose length libuv does not say
};

} // namespace keepwell::uv
