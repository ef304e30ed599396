// RAII over libuv: a Loop and the few handles keepwell needs, plus the Clock and Timers ports on
// them.
//
// Ownership: a C++ owner may die at any time, also inside its own callback; the libuv memory lives
// on the heap until its close callback. No callback is called after its owner's destructor.
// Callbacks must not throw: what escapes is caught at this edge, logged to stderr and dropped.
// Everything belongs to one thread but Async::send().
#pragma once

#include "units/ports/clock.h"
#include "units/ports/timers.h"

#include <uv.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace keepwell::uv {

class Loop {
  public:
    Loop();
    ~Loop(); // runs close callbacks to the end; every handle's owner must be gone by then
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    uv_loop_t* raw() noexcept { return &loop_; }
    void run();      // until stop() or nothing is left to do
    void run_once(); // one iteration, waits for an event
    void stop() noexcept { uv_stop(&loop_); }

  private:
    uv_loop_t loop_;
};

namespace detail {
// A libuv handle on the heap with a callback; see loop.cpp for why it outlives its owner.
template <class H>
struct Box;
template <class H>
struct BoxCloser {
    void operator()(Box<H>*) const noexcept;
};
template <class H>
using BoxPtr = std::unique_ptr<Box<H>, BoxCloser<H>>;
} // namespace detail

class Timer {
  public:
    Timer(Loop&, std::function<void()>);
    void start(std::uint64_t ms, std::uint64_t repeat_ms = 0);
    void stop() noexcept;
    void unref() noexcept;

  private:
    detail::BoxPtr<uv_timer_t> box_;
};

// Watches one descriptor it does not own. events: UV_READABLE | UV_WRITABLE | UV_DISCONNECT |
// UV_PRIORITIZED.
class Poll {
  public:
    Poll(Loop&, int fd, std::function<void(int status, int events)>);
    void start(int events); // calling it again with the same mask costs nothing
    void stop() noexcept;

  private:
    detail::BoxPtr<uv_poll_t> box_;
    int mask_ = 0;
};

class Signal {
  public:
    Signal(Loop&, int signum, std::function<void()>);

  private:
    detail::BoxPtr<uv_signal_t> box_;
};

class Prepare { // before each wait for events; does not keep the loop alive
  public:
    Prepare(Loop&, std::function<void()>);

  private:
    detail::BoxPtr<uv_prepare_t> box_;
};

// send() may be called from any thread; callbacks run on the loop, in order, each exactly once.
class Async {
  public:
    explicit Async(Loop&);
    void post(std::function<void()>);

  private:
    struct Queue {
        std::mutex mutex;
        std::vector<std::function<void()>> items;
    };
    std::shared_ptr<Queue> queue_;
    detail::BoxPtr<uv_async_t> box_;
};

// Runs work on libuv's thread pool and done on the loop. done is skipped when the returned token is
// dropped first.
[[nodiscard]] std::shared_ptr<void> run_in_pool(Loop&, std::function<void()> work,
                                                std::function<void()> done);

class MonotonicClock final : public Clock {
  public:
    Instant now() const noexcept override;
    WallTime wall() const noexcept override;
};

// The Timers port on one uv_timer and a heap: arming costs no system call beyond the loop's own.
class LoopTimers final : public Timers {
  public:
    LoopTimers(Loop&, const Clock&);
    ~LoopTimers() override;
    TimerId arm(Instant at, std::function<void()> callback) override;
    void cancel(TimerId) noexcept override;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell::uv
