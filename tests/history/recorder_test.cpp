#include "supervisor/history/recorder.h"

#include <gtest/gtest.h>

namespace keepwell::history {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kNoonMs = 1'769'860'800'000; // an edge of a minute
constexpr std::int64_t kNoonMinute = kNoonMs / 60'000;

class SetClock final : public Clock { // both hands are the test's
  public:
    Instant now() const noexcept override { return at; }
    WallTime wall() const noexcept override { return WallTime{wall_ms}; }
    void pass(Duration d) {
        at += d;
        wall_ms += std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
    }
    Instant at{1h};
    std::int64_t wall_ms = kNoonMs;
};

std::int64_t in(const MinuteRow& row, Spent s) { return row.roll_up.in(s); }

struct RecorderTest : testing::Test {
    SetClock clock;
    Recorder recorder{clock};
};

TEST_F(RecorderTest, AMinuteIsSplitAmongTheVerdictsToTheMillisecond) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(20s);
    recorder.spent(0, Spent::Down);
    clock.pass(12'345ms);
    recorder.spent(0, Spent::Degraded);
    clock.pass(27'655ms);
    const auto rows = recorder.take();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].key, "web");
    EXPECT_EQ(rows[0].minute, kNoonMinute);
    EXPECT_EQ(in(rows[0], Spent::Ok), 20'000);
    EXPECT_EQ(in(rows[0], Spent::Down), 12'345);
    EXPECT_EQ(in(rows[0], Spent::Degraded), 27'655);
    EXPECT_EQ(rows[0].roll_up.watched_ms(), 60'000);
}

TEST_F(RecorderTest, WhatIsToldLateIsBookedUpToTheEdgeFirst) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(75s); // nobody came at the edge
    recorder.spent(0, Spent::Down);
    clock.pass(45s);
    const auto rows = recorder.take();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(in(rows[0], Spent::Ok), 60'000);
    EXPECT_EQ(rows[1].minute, kNoonMinute + 1);
    EXPECT_EQ(in(rows[1], Spent::Ok), 15'000);
    EXPECT_EQ(in(rows[1], Spent::Down), 45'000);
}

TEST_F(RecorderTest, ABeginningInTheMiddleOfAMinuteLeavesTheRestAGap) {
    clock.pass(40s);
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(20s);
    const auto rows = recorder.take();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].roll_up.watched_ms(), 20'000);
}

TEST_F(RecorderTest, TheMinuteThatRunsIsShownAndNotTaken) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(30s);
    EXPECT_TRUE(recorder.take().empty());
    const auto running = recorder.running(0);
    ASSERT_TRUE(running);
    EXPECT_EQ(in(*running, Spent::Ok), 30'000);
    clock.pass(30s);
    EXPECT_EQ(in(recorder.take().at(0), Spent::Ok), 60'000);
    EXPECT_FALSE(recorder.running(7));
}

TEST_F(RecorderTest, AtTheEndTheMinuteSoFarIsTaken) {
    recorder.begin(0, "web", Spent::Down);
    clock.pass(7s);
    const auto rows = recorder.take_all();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(in(rows[0], Spent::Down), 7'000);
}

TEST_F(RecorderTest, ATimeInWhichTheProcessStoodStillIsAGapAndNotGood) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(10min + 30s);
    recorder.spent(0, Spent::Down);
    clock.pass(30s);
    const auto rows = recorder.take();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].minute, kNoonMinute);
    EXPECT_EQ(in(rows[0], Spent::Ok), 60'000);
    EXPECT_EQ(rows[1].minute, kNoonMinute + 10);
    EXPECT_EQ(in(rows[1], Spent::Ok), 0);
    EXPECT_EQ(in(rows[1], Spent::Down), 30'000);
}

TEST_F(RecorderTest, AClockThatIsSetMovesTheLabelAndNotTheLength) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(30s);
    clock.wall_ms -= 3'600'000; // set back by an hour
    clock.pass(30s);
    auto rows = recorder.take();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].minute, kNoonMinute);
    EXPECT_EQ(rows[0].roll_up.watched_ms(), 60'000);
    clock.pass(60s);
    rows = recorder.take();
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].minute, kNoonMinute - 59);
    EXPECT_EQ(rows[0].roll_up.watched_ms(), 60'000);
}

TEST_F(RecorderTest, OldRowsAreNotJudgedByAClockThatWasJustSet) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(10min);
    (void)recorder.take();
    EXPECT_TRUE(recorder.steady_for(10min));
    clock.wall_ms += 30LL * 365 * 86'400'000;
    clock.pass(60s);
    (void)recorder.take();
    EXPECT_FALSE(recorder.steady_for(10min));
    for (int i = 0; i < 11; ++i) {
        clock.pass(60s);
        (void)recorder.take();
    }
    EXPECT_TRUE(recorder.steady_for(10min));
}

TEST_F(RecorderTest, AClockTrimmedByMillisecondsMakesNoSliversOfMinutes) {
    recorder.begin(0, "web", Spent::Ok);
    for (int i = 0; i < 10; ++i) {
        clock.pass(60s);
        clock.wall_ms -= 20; // slewed
        for (const auto& row : recorder.take()) EXPECT_GT(row.roll_up.watched_ms(), 59'000);
    }
}

TEST_F(RecorderTest, ChecksAndFiguresAreRolledUp) {
    recorder.begin(0, "web", Spent::Ok);
    recorder.checked(0, false, 10ms);
    recorder.checked(0, false, 30ms);
    recorder.checked(0, true, std::nullopt);
    recorder.figures(0, 1.5, 4096);
    recorder.figures(0, std::nullopt, 8192);
    recorder.restarted(0, 2);
    clock.pass(60s);
    const RollUp r = recorder.take().at(0).roll_up;
    EXPECT_EQ(r.checks, 3U);
    EXPECT_EQ(r.failures, 1U);
    EXPECT_EQ(r.restarts, 2U);
    EXPECT_EQ(r.latency_us, (Figure{2, 10'000, 30'000, 40'000}));
    EXPECT_EQ(r.cpu_hundredths, (Figure{1, 150, 150, 150}));
    EXPECT_EQ(r.memory_kib, (Figure{2, 4, 8, 12}));
}

TEST_F(RecorderTest, AUnitThatLeavesIsBookedUpToThenAndItsPlaceIsFreeAgain) {
    recorder.begin(0, "web", Spent::Ok);
    clock.pass(5s);
    recorder.end(0);
    recorder.begin(0, "other", Spent::Down);
    clock.pass(55s);
    const auto rows = recorder.take();
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].key, "web");
    EXPECT_EQ(in(rows[0], Spent::Ok), 5'000);
    EXPECT_EQ(rows[1].key, "other");
    EXPECT_EQ(in(rows[1], Spent::Down), 55'000);
}

TEST(RollUp, FiguresAddUp) {
    Figure a;
    a.add(5);
    Figure b;
    b.add(-3);
    b.add(9);
    a.merge(b);
    a.merge({});
    EXPECT_EQ(a, (Figure{3, -3, 9, 11}));
}

TEST(RollUp, UptimeCountsDegradedAsUpAndNeitherPausesNorStops) {
    RollUp r;
    EXPECT_FALSE(up_ratio(r));
    r.in(Spent::Unknown) = r.in(Spent::Paused) = 1000;
    EXPECT_FALSE(up_ratio(r));
    r.in(Spent::Ok) = 60;
    r.in(Spent::Degraded) = 30;
    r.in(Spent::Down) = 10;
    EXPECT_DOUBLE_EQ(up_ratio(r).value(), 0.9);
}

} // namespace
} // namespace keepwell::history
