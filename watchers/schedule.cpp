#include "watchers/schedule.h"

#include <algorithm>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

Duration usable(Duration interval) noexcept { return std::max<Duration>(interval, 1ms); }

} // namespace

std::uint64_t check_hash(std::string_view unit_key, std::string_view check_id) noexcept {
    std::uint64_t h = 0xcbf29ce484222325U; // FNV-1a
    const auto mix = [&](unsigned char c) { h = (h ^ c) * 0x100000001b3U; };
    for (const char c : unit_key) mix(static_cast<unsigned char>(c));
    mix(0);
    for (const char c : check_id) mix(static_cast<unsigned char>(c));
    // Keys often differ in the last character only, which FNV leaves in few bits.
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdU;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53U;
    return h ^ (h >> 33);
}

Duration first_offset(std::uint64_t hash, Duration interval) noexcept {
    const Duration span = std::min<Duration>(usable(interval), 1s);
    return Duration(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(span.count())));
}

Instant next_slot(std::uint64_t hash, Duration interval, Instant last_start, Instant now) noexcept {
    const std::int64_t step = usable(interval).count();
    const auto phase = static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(step));
    const Instant earliest = std::max(now + 1ns, last_start + Duration(step / 4));
    const std::int64_t at = earliest.time_since_epoch().count() - phase;
    const std::int64_t slots = at <= 0 ? 0 : (at + step - 1) / step;
    return Instant(Duration(slots * step + phase));
}

} // namespace keepwell
