#include "supervisor/uv/lag_meter.h"

#include <algorithm>

namespace keepwell::uv {

LagMeter::LagMeter(Loop& loop, const Clock& clock)
    : loop_(loop), clock_(clock), before_wait_(loop, [this] { turn(); }) {
    uv_loop_configure(loop.raw(), UV_METRICS_IDLE_TIME);
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
    // libuv says 0 also while descriptors are new to it, however long it then waits.
    const int ms = uv_backend_timeout(loop_.raw());
    awake_at_ = ms <= 0 ? Instant::max() : now + std::chrono::milliseconds(ms);
}

bool LagMeter::stalled_since(Instant since) {
    look(clock_.now());
    return last_stall_ >= since;
}

} // namespace keepwell::uv
