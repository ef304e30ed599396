#include "supervisor/cli/verbs.h"

#include <cstdlib>
#include <ctime>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

constexpr std::int64_t kSunday = 1'795'350'600'000; // 2026-11-22T12:30:00Z, a Sunday

TEST(Since, IsAnAgeATimeOfDayOrADate) {
    ::setenv("TZ", "UTC-2", 1); // two hours east: 14:30
    ::tzset();
    constexpr std::int64_t kMinute = 60'000;
    const std::pair<const char*, std::int64_t> cases[] = {
        {"10m", kSunday - 10 * kMinute},
        {"2h", kSunday - 120 * kMinute},
        {"12:30", kSunday - 120 * kMinute},
        {"14:30:00", kSunday},
        {"15:00", kSunday + 30 * kMinute - 24 * 60 * kMinute}, // not yet today: yesterday
        {"2026-11-22 12:30", kSunday - 120 * kMinute},
        {"2026-11-22T12:30:00Z", kSunday},
        {"2026-11-22", kSunday - (14 * 60 + 30) * kMinute},
    };
    for (const auto& [text, ms] : cases) {
        const auto since = parse_since(text, kSunday);
        ASSERT_TRUE(since) << text;
        EXPECT_EQ(since.value(), ms) << text;
    }
    for (const char* text : {"", "yesterday", "25:00", "10 parsecs", "-5m", "2026-11-22 12:30 x"}) {
        const auto since = parse_since(text, kSunday);
        ASSERT_FALSE(since) << text;
        EXPECT_EQ(since.error().message.find("cannot use --since"), 0U) << text;
    }
}

} // namespace
} // namespace keepwell::cli
