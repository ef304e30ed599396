#include "units/check_counter.h"

#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

struct Counting {
    CheckSpec spec = testing::http_check(3);
    std::optional<WindowPolicy> window;
    CheckCounter counter;

    CheckChange run(CheckOutcome outcome, bool counted = true) {
        CheckRun r;
        r.outcome = outcome;
        r.counted = counted;
        return count_run(counter, spec, window, r);
    }
    CheckChange fail() { return run(CheckOutcome::Fail); }
    CheckChange pass() { return run(CheckOutcome::Pass); }
};

TEST(CheckCounter, TripsAtTheThresholdAndNeverBefore) {
    Counting c;
    EXPECT_EQ(c.fail(), CheckChange::Pending);
    EXPECT_EQ(c.fail(), CheckChange::Pending);
    EXPECT_FALSE(c.counter.tripped);
    EXPECT_EQ(c.fail(), CheckChange::Tripped);
    EXPECT_TRUE(c.counter.tripped);
    EXPECT_EQ(c.fail(), CheckChange::Failing);
}

TEST(CheckCounter, SuccessBetweenFailuresResetsTheCount) {
    Counting c;
    for (int i = 0; i < 50; ++i) {
        c.fail();
        c.fail();
        EXPECT_EQ(c.pass(), CheckChange::Passed);
        EXPECT_EQ(c.counter.failures, 0U);
    }
    EXPECT_FALSE(c.counter.tripped);
}

TEST(CheckCounter, ClearsAfterAsManyPassesInARowAsAsked) {
    Counting c;
    c.spec.successes = 2;
    for (int i = 0; i < 3; ++i) c.fail();
    EXPECT_EQ(c.pass(), CheckChange::None);
    EXPECT_EQ(c.fail(), CheckChange::Failing);
    EXPECT_EQ(c.pass(), CheckChange::None);
    EXPECT_TRUE(c.counter.tripped);
    EXPECT_EQ(c.pass(), CheckChange::Recovered);
    EXPECT_FALSE(c.counter.tripped);
}

TEST(CheckCounter, AFailureThatDoesNotCountOnlyShows) {
    Counting c;
    for (int i = 0; i < 10; ++i) EXPECT_EQ(c.run(CheckOutcome::Fail, false), CheckChange::None);
    EXPECT_EQ(c.counter.failures, 0U);
    EXPECT_TRUE(c.counter.ran);
    EXPECT_EQ(c.counter.last, CheckOutcome::Fail);
}

TEST(CheckCounter, FlappingTripsTheWindow) {
    Counting c;
    c.window = WindowPolicy{3, 5};
    EXPECT_EQ(c.fail(), CheckChange::Pending);
    c.pass();
    EXPECT_EQ(c.fail(), CheckChange::Pending);
    c.pass();
    EXPECT_EQ(c.fail(), CheckChange::Tripped);
}

TEST(CheckCounter, FailuresOlderThanTheWindowAreForgotten) {
    Counting c;
    c.window = WindowPolicy{2, 3};
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(c.fail(), CheckChange::Pending);
        c.pass();
        c.pass();
    }
}

TEST(CheckCounter, AWindowOfSixtyFourIsCountedWhole) {
    Counting c;
    c.spec.failures = 1000;
    c.window = WindowPolicy{64, 64};
    for (int i = 0; i < 63; ++i) EXPECT_EQ(c.fail(), CheckChange::Pending);
    EXPECT_EQ(c.fail(), CheckChange::Tripped);
}

TEST(CheckCounter, AWarningIsAnAnswerAndIsToldOnce) {
    Counting c;
    c.fail();
    c.fail();
    c.run(CheckOutcome::Warn);
    EXPECT_EQ(c.counter.failures, 0U);
    c.pass();
    EXPECT_EQ(c.run(CheckOutcome::Warn), CheckChange::Warned);
    EXPECT_EQ(c.run(CheckOutcome::Warn), CheckChange::None);
}

TEST(CheckCounter, AThresholdOfZeroMeansOne) {
    Counting c;
    c.spec.failures = 0;
    EXPECT_EQ(c.fail(), CheckChange::Tripped);
}

TEST(CheckCounter, ZeroKeepsOnlyWhetherItIsEnabled) {
    Counting c;
    c.counter.enabled = false;
    c.fail();
    zero(c.counter);
    CheckCounter fresh;
    fresh.enabled = false;
    EXPECT_EQ(c.counter, fresh);
}

} // namespace
} // namespace keepwell
