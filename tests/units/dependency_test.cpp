// requires and after: held starts, blamed failures, coming back together.
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

using testing::checked_web;
using testing::UnitDriver;
using testing::web;

constexpr UnitIndex kDb = 7;
const event::Dependencies kDown{kDb, kDb};
const event::Dependencies kNotReadyYet{std::nullopt, kDb};
const event::Dependencies kFine{std::nullopt, std::nullopt};

TEST(Dependencies, AStartWaitsForItsGate) {
    UnitDriver u(web());
    u.post(kNotReadyYet);
    u.start();
    EXPECT_EQ(u.record.state, State::Waiting);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::Dependency);
    EXPECT_EQ(u.record.reason.unit, kDb);
    EXPECT_EQ(u.record.health, Verdict::Unknown);
    u.post(kNotReadyYet);
    EXPECT_EQ(u.notes(NoteKind::Waiting), 1U);
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.post(kFine);
    EXPECT_EQ(u.record.state, State::Starting);
}

TEST(Dependencies, FailuresDoNotCountWhileTheOtherIsDown) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    u.post(kDown);
    for (int i = 0; i < 10; ++i) u.fail();
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.checks[0].failures, 0U);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::Dependency);
    u.post(kFine);
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Dependencies, AnExitWhileTheOtherIsDownWaitsAndComesBackWithIt) {
    UnitDriver u(web());
    u.bring_up();
    u.post(kDown);
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Waiting);
    EXPECT_EQ(u.record.streak, 0U);
    EXPECT_EQ(u.next_timer(), std::nullopt);
    u.post(kFine);
    EXPECT_EQ(u.record.state, State::Starting);
}

TEST(Dependencies, ARunningUnitStaysUp) {
    UnitDriver u(web());
    u.bring_up();
    u.clear();
    u.post(kDown);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_TRUE(u.all.empty());
}

TEST(Dependencies, ARetryThatIsHeldWaits) {
    UnitDriver u(web());
    u.bring_up();
    u.ended(1);
    u.post(kNotReadyYet);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_TRUE(u.record.deadline(TimerKind::Retry));
    u.advance(500ms);
    EXPECT_EQ(u.record.state, State::Waiting);
}

TEST(Dependencies, AStopEndsTheWaiting) {
    UnitDriver u(web());
    u.post(kDown);
    u.start();
    u.stop();
    EXPECT_EQ(u.record.state, State::Stopped);
    u.post(kFine);
    EXPECT_EQ(u.record.state, State::Stopped);
}

} // namespace
} // namespace keepwell
