// The arithmetic of phases and grids.
#include "watchers/schedule.h"

#include <gtest/gtest.h>

#include <random>

using namespace keepwell;
using namespace std::chrono_literals;

TEST(CheckGrid, HashIsTheSameInEveryVersion) {
    EXPECT_NE(check_hash("web", "http"), check_hash("webh", "ttp"));
    EXPECT_EQ(check_hash("web", "http"), 3514214872144472463U);
}

TEST(CheckGrid, FirstRunIsWithinASecondAndWithinTheInterval) {
    for (std::uint64_t h = 1; h != 0; h <<= 1) {
        EXPECT_LT(first_offset(h - 1, 10s), 1s);
        EXPECT_LT(first_offset(h - 1, 200ms), 200ms);
        EXPECT_GE(first_offset(h - 1, 10s), 0s);
    }
}

TEST(CheckGrid, NextSlotIsLaterThanNowAndNoMoreThanFiveQuartersAway) {
    std::mt19937_64 random(7);
    for (int i = 0; i < 10'000; ++i) {
        const Duration interval(1'000'000 + static_cast<std::int64_t>(random() % 60'000'000'000U));
        const Instant last(Duration(static_cast<std::int64_t>(random() % 1'000'000'000'000U)));
        const Instant now = last + Duration(static_cast<std::int64_t>(random() % 90'000'000'000U));
        const std::uint64_t hash = random();
        const Instant next = next_slot(hash, interval, last, now);
        EXPECT_GT(next, now);
        EXPECT_GE(next - last, interval / 4);
        EXPECT_LE(next - std::max(last + interval / 4, now), interval);
        EXPECT_EQ((next_slot(hash, interval, next, next) - next), interval);
    }
}

TEST(CheckGrid, IntervalOfZeroIsNoEndlessLoop) {
    EXPECT_GT(next_slot(5, 0s, Instant(1h), Instant(1h)), Instant(1h));
}
