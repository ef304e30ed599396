// RollUp: what one unit lived through in one span of time: how long it was in each condition, its
// checks, latency, processor and memory. Plain values that add up: a minute into an hour, an hour
// into a day. Pure; no clock, nothing throws.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace keepwell::history {

inline constexpr std::int64_t kMinuteMs = 60'000, kHourMs = 3'600'000;

constexpr std::int64_t to_ms(std::chrono::nanoseconds d) noexcept {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

enum class Spent { Ok, Degraded, Down, Unknown, Paused };
inline constexpr std::size_t kSpents = 5;

struct Figure { // integers, so that a row is a few bytes; the unit is in the name of the member
    std::uint32_t count = 0;
    std::int64_t min = 0, max = 0, sum = 0;
    void add(std::int64_t value) noexcept { merge({1, value, value, value}); }
    void merge(const Figure& other) noexcept {
        if (other.count == 0) return;
        min = count == 0 ? other.min : std::min(min, other.min);
        max = count == 0 ? other.max : std::max(max, other.max);
        sum += other.sum;
        count += other.count;
    }
    bool operator==(const Figure&) const = default;
};

struct RollUp {
    std::array<std::int64_t, kSpents> ms{}; // by Spent
    std::uint32_t checks = 0, failures = 0, restarts = 0;
    Figure latency_us, cpu_hundredths, memory_kib; // cpu: hundredths of a percent of one core

    std::int64_t& in(Spent s) noexcept { return ms[static_cast<std::size_t>(s)]; }
    std::int64_t in(Spent s) const noexcept { return ms[static_cast<std::size_t>(s)]; }
    std::int64_t watched_ms() const noexcept {
        std::int64_t all = 0;
        for (const std::int64_t m : ms) all += m;
        return all;
    }
    bool empty() const noexcept {
        return watched_ms() == 0 && checks == 0 && restarts == 0 && latency_us.count == 0 &&
               cpu_hundredths.count == 0 && memory_kib.count == 0;
    }
    void merge(const RollUp& other) noexcept {
        for (std::size_t i = 0; i < kSpents; ++i) ms[i] += other.ms[i];
        checks += other.checks;
        failures += other.failures;
        restarts += other.restarts;
        latency_us.merge(other.latency_us);
        cpu_hundredths.merge(other.cpu_hundredths);
        memory_kib.merge(other.memory_kib);
    }
    bool operator==(const RollUp&) const = default;
};

// Up is ok or degraded; what was paused, stopped on purpose or not watched counts for nothing.
inline std::optional<double> up_ratio(std::int64_t up_ms, std::int64_t down_ms) noexcept {
    if (up_ms + down_ms <= 0) return std::nullopt;
    return static_cast<double>(up_ms) / static_cast<double>(up_ms + down_ms);
}
inline std::optional<double> up_ratio(const RollUp& r) noexcept {
    return up_ratio(r.in(Spent::Ok) + r.in(Spent::Degraded), r.in(Spent::Down));
}

} // namespace keepwell::history
