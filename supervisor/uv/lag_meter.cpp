#include "supervisor/uv/lag_meter.h"

#include <algorithm>

namespace keepwell::uv {

LagMeter::LagMeter(Loop& loop, const Clock& clock)
    : loop_(loop), clock_(clock), before_wait_(loop, [this] { turn(); }), bound_(loop, [] {}) {
    uv_loop_configure(loop.raw(), UV_METRICS_IDLE_TIME);
    bound_.unref();
}

// The wait itself is no lag, but to wait longer than was meant is.
Duration LagMeter::lag(Instant now) const {
    if (turned_at_ == Instant::min()) return {};
    const Duration waited(static_cast<std::int64_t>(uv_metrics_idle_time(loop_.raw()) - idle_ns_));
    const Duration late = awake_at_ == Instant::max() ? Duration{} : now - awake_at_;
    return std::max({now - turned_at_ - waited, late, Duration{}});
}

void LagMeter::look(Instant now) {
    if (lag(now) > kLag) last_stall_ = now;
}

void LagMeter::turn() {
    const Instant now = clock_.now();
    look(now);
    if (on_turn_ && turned_at_ != Instant::min()) on_turn_(lag(now));
    turned_at_ = now;
    idle_ns_ = uv_metrics_idle_time(loop_.raw());
    bound_.stop();
    // libuv says 0 also while descriptors are new to it, however long it then waits. A wait of
    // unknown length would hide a pause, so it gets one.
    std::chrono::milliseconds wait(uv_backend_timeout(loop_.raw()));
    if (wait.count() == 0) {
        wait = std::chrono::duration_cast<std::chrono::milliseconds>(kLag);
        bound_.start(static_cast<std::uint64_t>(wait.count()));
    }
    awake_at_ = wait.count() < 0 ? Instant::max() : now + wait;
}

bool LagMeter::stalled_since(Instant since) {
    look(clock_.now());
    return last_stall_ >= since;
}

} // namespace keepwell::uv
