#include "supervisor/history/recorder.h"

#include <cmath>
#include <cstdlib>
#include <utility>

namespace keepwell::history {

namespace {

constexpr std::int64_t kNearMs = 100; // the wall clock is trimmed all the time
constexpr std::int64_t kJumpMs = 5'000;
constexpr Duration kStoodStill = std::chrono::seconds(90);

} // namespace

Recorder::Recorder(const Clock& clock) : clock_(clock), steady_since_(clock.now()) {
    open(clock.now());
}

void Recorder::open(Instant at) {
    const Instant now = clock_.now();
    const std::int64_t wall = clock_.wall().ms - to_ms(now - at);
    const std::int64_t offset = wall - to_ms(at.time_since_epoch());
    if (offset_ms_ && std::abs(offset - *offset_ms_) > kJumpMs) steady_since_ = now;
    offset_ms_ = offset;
    minute_ = wall / kMinuteMs;
    std::int64_t left = kMinuteMs - wall % kMinuteMs;
    if (left <= kNearMs) {
        ++minute_;
        left += kMinuteMs;
    }
    end_ = at + std::chrono::milliseconds(left);
}

void Recorder::close(Unit& u, Instant at) {
    u.minute.in(u.now) += std::max<std::int64_t>(0, to_ms(at - u.since));
    u.since = at;
    if (!u.minute.empty()) closed_.push_back({u.key, minute_, std::exchange(u.minute, {})});
}

void Recorder::close(Instant at) {
    closed_.reserve(closed_.size() + units_.size());
    for (auto& u : units_)
        if (u) close(*u, at);
}

void Recorder::roll() {
    const Instant now = clock_.now();
    while (now >= end_) {
        close(end_);
        const bool slept = now - end_ > kStoodStill;
        open(slept ? now : end_);
        if (!slept) continue;
        for (auto& u : units_)
            if (u) u->since = now;
    }
}

Recorder::Unit* Recorder::find(UnitIndex i) {
    roll();
    return knows(i) ? &*units_[i] : nullptr;
}

void Recorder::begin(UnitIndex i, const std::string& key, Spent now) {
    roll();
    if (i >= units_.size()) units_.resize(i + 1);
    units_[i] = Unit{key, now, clock_.now(), {}};
}

void Recorder::spent(UnitIndex i, Spent now) {
    Unit* u = find(i);
    if (u == nullptr || u->now == now) return;
    const Instant at = clock_.now();
    // The rest of a millisecond stays with the next one, so that nothing is lost to many changes.
    const std::int64_t ms = to_ms(at - u->since);
    u->minute.in(u->now) += ms;
    u->since += std::chrono::milliseconds(ms);
    u->now = now;
}

void Recorder::checked(UnitIndex i, bool failed, std::optional<Duration> latency) {
    Unit* u = find(i);
    if (u == nullptr) return;
    ++u->minute.checks;
    if (failed) ++u->minute.failures;
    if (latency)
        u->minute.latency_us.add(
            std::chrono::duration_cast<std::chrono::microseconds>(*latency).count());
}

void Recorder::figures(UnitIndex i, std::optional<double> cpu_percent,
                       std::optional<std::uint64_t> memory) {
    Unit* u = find(i);
    if (u == nullptr) return;
    if (cpu_percent) u->minute.cpu_hundredths.add(std::llround(*cpu_percent * 100));
    if (memory) u->minute.memory_kib.add(static_cast<std::int64_t>(*memory / 1024));
}

void Recorder::restarted(UnitIndex i, std::uint32_t times) {
    if (Unit* u = find(i)) u->minute.restarts += times;
}

void Recorder::end(UnitIndex i) {
    Unit* u = find(i);
    if (u == nullptr) return;
    close(*u, clock_.now());
    units_[i].reset();
}

std::vector<MinuteRow> Recorder::take() {
    roll();
    return std::exchange(closed_, {});
}

std::vector<MinuteRow> Recorder::take_all() {
    roll();
    close(clock_.now());
    return std::exchange(closed_, {});
}

std::optional<MinuteRow> Recorder::running(UnitIndex i) const {
    if (!knows(i)) return std::nullopt;
    const Unit& u = *units_[i];
    MinuteRow row{u.key, minute_, u.minute};
    const Instant until = std::min(clock_.now(), end_);
    row.roll_up.in(u.now) += std::max<std::int64_t>(0, to_ms(until - u.since));
    return row;
}

bool Recorder::steady_for(Duration d) const { return clock_.now() - steady_since_ >= d; }

} // namespace keepwell::history
