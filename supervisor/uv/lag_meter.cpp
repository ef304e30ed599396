#include "supervisor/uv/lag_meter.h"

namespace keepwell::uv {

LagMeter::LagMeter(Loop& loop, const Clock& clock)
    : loop_(loop), clock_(clock), before_wait_(loop, [this] {
          look();
          const int ms = uv_backend_timeout(loop_.raw());
          awake_at_ = ms < 0 ? Instant::max() : clock_.now() + std::chrono::milliseconds(ms);
      }) {}

void LagMeter::look() {
    const Instant now = clock_.now();
    if (awake_at_ != Instant::max() && now > awake_at_ + kLag) last_stall_ = now;
}

bool LagMeter::stalled_since(Instant since) {
    look();
    return last_stall_ >= since;
}

} // namespace keepwell::uv
