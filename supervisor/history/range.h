// The spans of time that the history is asked for, and how each is cut into points. Pure.
//
// Points lie at whole steps since 1970 UTC, so two answers have the same cuts; the last one is the
// step that runs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace keepwell::history {

enum class Range { Hour, Day, Week, Quarter };

struct Cut {
    std::string_view name;
    std::int64_t step_s;
    std::int64_t points;
    std::int64_t row_s; // of the stored rows that a point is made of: minutes or hours
};

constexpr Cut cut_of(Range r) noexcept {
    switch (r) {
    case Range::Hour: return {"1h", 60, 60, 60};
    case Range::Day: return {"24h", 300, 288, 60};
    case Range::Week: return {"7d", 3600, 168, 3600};
    case Range::Quarter: return {"90d", 86'400, 90, 3600};
    }
    return {"24h", 300, 288, 60};
}

constexpr std::optional<Range> parse_range(std::string_view name) noexcept {
    for (const Range r : {Range::Hour, Range::Day, Range::Week, Range::Quarter})
        if (cut_of(r).name == name) return r;
    return std::nullopt;
}

} // namespace keepwell::history
