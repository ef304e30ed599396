// Virtual time for tests: a clock that only advance() moves, and timers that fire in it.
//
// Timers fire in the order of their deadline, then of arming, one by one, with the clock standing
// at the deadline (at "now" for one armed in the past). A callback may arm and cancel anything;
// what it arms within the advance fires within the advance. set_drain() is called after each
// callback, for engines with a queue of their own. jump() moves the clock without firing, as a
// suspend or a stalled loop does; the next advance (also of zero) then fires what is overdue at the
// late time.
#pragma once

#include "units/ports/clock.h"
#include "units/ports/timers.h"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

namespace keepwell::test {

class VirtualClock final : public Clock {
  public:
    Instant now() const noexcept override { return now_; }
    WallTime wall() const noexcept override {
        return WallTime{
            std::chrono::floor<std::chrono::milliseconds>(now_.time_since_epoch()).count() +
            wall_offset_ms};
    }
    void set(Instant at) noexcept { now_ = at; }
    void jump(Duration d) noexcept { now_ += d; }

    std::int64_t wall_offset_ms = 1'700'000'000'000;

  private:
    Instant now_{std::chrono::hours(1)};
};

class FakeTimers final : public Timers {
  public:
    explicit FakeTimers(VirtualClock& clock) : clock_(clock) {}

    TimerId arm(Instant at, std::function<void()> callback) override {
        const TimerId id = next_id_++;
        queue_.emplace(Order{at, id}, std::move(callback));
        by_id_.emplace(id, at);
        return id;
    }
    void cancel(TimerId id) noexcept override {
        const auto it = by_id_.find(id);
        if (it == by_id_.end()) return;
        queue_.erase({it->second, id});
        by_id_.erase(it);
    }

    // Moves the clock by d and fires everything due on the way.
    void advance(Duration d) { advance_to(clock_.now() + d); }
    void advance_to(Instant target) {
        while (!queue_.empty() && queue_.begin()->first.first <= target) fire_next();
        if (clock_.now() < target) clock_.set(target);
    }
    // Fires the earliest timer alone, however far away; false when none is armed.
    bool step() {
        if (queue_.empty()) return false;
        fire_next();
        return true;
    }

    void set_drain(std::function<void()> drain) { drain_ = std::move(drain); }
    std::size_t armed() const noexcept { return queue_.size(); }
    std::size_t fired() const noexcept { return fired_; }
    std::optional<Instant> next() const {
        if (queue_.empty()) return std::nullopt;
        return queue_.begin()->first.first;
    }

  private:
    using Order = std::pair<Instant, TimerId>; // ids grow with each arm()

    void fire_next() {
        const auto it = queue_.begin();
        if (clock_.now() < it->first.first) clock_.set(it->first.first);
        const auto callback = std::move(it->second);
        by_id_.erase(it->first.second);
        queue_.erase(it);
        ++fired_;
        callback();
        if (drain_) drain_();
    }

    VirtualClock& clock_;
    std::map<Order, std::function<void()>> queue_;
    std::unordered_map<TimerId, Instant> by_id_;
    std::function<void()> drain_;
    TimerId next_id_ = 1;
    std::size_t fired_ = 0;
};

} // namespace keepwell::test
