// What is seen of units that others may start and stop too.
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

using testing::UnitDriver;

UnitSpec daemon_of(UnitKind kind, std::uint32_t failures = 3) {
    UnitSpec spec = testing::checked_web(failures);
    spec.kind = kind;
    return spec;
}

ExitStatus killed() {
    ExitStatus s;
    s.known = true;
    s.signal = 9;
    return s;
}

struct Sight : ::testing::Test {
    UnitDriver u{daemon_of(UnitKind::Systemd)};
    void appear(std::int64_t pid, Duration age = 1h) { u.post(event::Appeared{pid, u.now - age}); }
    void absent(bool on_purpose, ExitStatus status = killed()) {
        u.post(event::Absent{on_purpose, status});
    }
};

TEST_F(Sight, NothingIsKnownBeforeTheFirstLook) {
    EXPECT_EQ(u.record.state, State::Unknown);
    EXPECT_EQ(u.record.health, Verdict::Unknown);
    EXPECT_EQ(u.record.desired, Desired::Stopped);
}

TEST_F(Sight, WhatRunsAlreadyIsTakenUpWithoutAStart) {
    appear(50);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.desired, Desired::Running);
    EXPECT_EQ(u.record.pid, 50);
    EXPECT_EQ(u.record.generation, 1U);
    EXPECT_FALSE(u.did<effect::Spawn>());
    EXPECT_TRUE(u.did<effect::StartChecks>());
}

TEST_F(Sight, AYoungInstanceIsProvedByItsAge) {
    appear(50, 200ms);
    EXPECT_EQ(u.record.state, State::Starting);
    u.advance(800ms);
    EXPECT_EQ(u.record.state, State::Running);
}

TEST_F(Sight, ANewMainProcessIsANewGenerationAndNoFailure) {
    appear(50);
    u.fail();
    appear(51, 2s);
    EXPECT_EQ(u.record.generation, 2U);
    EXPECT_EQ(u.record.checks[0].failures, 0U);
    EXPECT_EQ(u.record.streak, 0U);
    EXPECT_TRUE(u.record.restarts.empty());
    EXPECT_EQ(u.record.state, State::Running);
}

TEST_F(Sight, ALossIsHealedWithBackoff) {
    appear(50);
    absent(false);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.health, Verdict::Down);
    EXPECT_EQ(u.record.last_exit, killed());
    u.advance(500ms);
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_EQ(u.times<effect::Spawn>(), 1U);
}

TEST_F(Sight, AStopBySomebodyElseIsRespectedAndSoIsTheirStart) {
    appear(50);
    absent(true, ExitStatus{true, 0, 0, false, false});
    EXPECT_EQ(u.record.state, State::Stopped);
    EXPECT_EQ(u.record.desired, Desired::Stopped);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::StoppedElsewhere);
    u.advance(10min);
    EXPECT_FALSE(u.did<effect::Spawn>());
    appear(60, 0s);
    EXPECT_EQ(u.record.desired, Desired::Running);
    EXPECT_EQ(u.record.state, State::Starting);
}

TEST_F(Sight, AStopByHandThatIsRefusedGoesOnAsBefore) {
    appear(50);
    u.pass();
    u.stop();
    ASSERT_EQ(u.record.state, State::Stopping);
    u.post(event::StopFinished{u.record.generation, false, true});
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.desired, Desired::Running);
    EXPECT_TRUE(u.noted(NoteKind::StopRefused));
    EXPECT_TRUE(u.record.restarts.empty()) << "nothing was to be restarted";
    u.advance(1h);
    EXPECT_FALSE(u.did<effect::Kill>()) << "it was killed beside its manager";
    EXPECT_EQ(u.times<effect::Terminate>(), 1U);
}

TEST_F(Sight, ARefusedRestartIsTriedAgainByBackoffAndBudgetAndNeverWithoutAnEnd) {
    u.spec.policy.budget = {3, 10min, BudgetThen::Stop, 5min};
    u.spec.checks[0].interval = 100ms;
    appear(50);
    u.pass();
    std::vector<Duration> between;
    Instant last = u.now;
    for (int i = 0; i < 20'000; ++i) { // more than half an hour
        u.advance(100ms);
        u.fail();
        if (u.record.state != State::Stopping) continue;
        between.push_back(u.now - last);
        last = u.now;
        u.post(event::StopFinished{u.record.generation, false, true});
        ASSERT_EQ(u.record.state, State::Running);
        EXPECT_EQ(u.record.health, Verdict::Down);
    }
    EXPECT_EQ(u.times<effect::Terminate>(), 4U) << "the first try, and as many as the budget has";
    ASSERT_EQ(between.size(), 4U);
    EXPECT_LT(between[1], between[2]);
    EXPECT_LT(between[2], between[3]);
    EXPECT_TRUE(u.noted(NoteKind::GaveUp));
    EXPECT_EQ(u.record.restarts_total, 0U) << "none of them was a restart";
    EXPECT_FALSE(u.did<effect::Kill>());
}

TEST_F(Sight, ARefusalForWantOfAManagerCostsNoBudget) {
    appear(50);
    u.pass();
    for (int i = 0; i < 3; ++i) u.fail();
    ASSERT_EQ(u.record.state, State::Stopping);
    u.post(event::StopFinished{u.record.generation, false, true, true});
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_TRUE(u.record.restarts.empty());
    EXPECT_EQ(u.record.streak, 0U);
}

TEST_F(Sight, SystemdsOwnRestartIsWaitedForAndNotFought) {
    appear(50);
    u.clear();
    u.post(event::Held{killed()});
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.health, Verdict::Down);
    EXPECT_FALSE(u.record.deadline(TimerKind::Retry));
    u.advance(1h);
    EXPECT_FALSE(u.did<effect::Spawn>());
    EXPECT_FALSE(u.did<effect::Terminate>());
    appear(51, 0s);
    EXPECT_EQ(u.record.restarts_total, 1U);
    u.advance(1s);
    u.pass();
    EXPECT_EQ(u.record.health, Verdict::Healthy);
    EXPECT_TRUE(u.noted(NoteKind::Healthy));
}

TEST_F(Sight, WhenSystemdGivesUpItIsOurTurn) {
    appear(50);
    u.post(event::Held{killed()});
    absent(false);
    EXPECT_EQ(u.record.state, State::Backoff);
    ASSERT_TRUE(u.record.deadline(TimerKind::Retry));
    u.advance(500ms);
    EXPECT_EQ(u.times<effect::Spawn>(), 1U);
}

TEST_F(Sight, AResumeDoesNotStartBesideWhatSystemdHolds) {
    appear(50);
    u.post(event::Held{killed()});
    u.post(event::Pause{std::nullopt});
    u.clear();
    u.post(event::Resume{});
    u.advance(1h);
    EXPECT_FALSE(u.did<effect::Spawn>());
}

TEST_F(Sight, BlindMeansUnknownAndNoAction) {
    appear(50);
    u.pass();
    const Instant since = u.record.started_at;
    u.clear();
    u.post(event::Blind{Blindness::BusLost});
    EXPECT_EQ(u.record.state, State::Unknown);
    EXPECT_EQ(u.record.health, Verdict::Unknown);
    EXPECT_TRUE(u.did<effect::StopChecks>());
    for (int n = 0; n < 20; ++n) u.fail();
    u.advance(1h);
    EXPECT_FALSE(u.did<effect::Spawn>());
    EXPECT_FALSE(u.did<effect::Terminate>());
    u.post(event::Appeared{50, since}); // the same one as before
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.generation, 1U);
    EXPECT_TRUE(u.did<effect::StartChecks>());
}

TEST_F(Sight, WhatEndedWhileBlindIsHealedAfterwards) {
    appear(50);
    u.post(event::Blind{Blindness::BusLost});
    absent(false);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.last_exit, killed());
}

TEST_F(Sight, ABackoffInterruptedByBlindnessIsNotChargedTwice) {
    appear(50);
    absent(false);
    ASSERT_EQ(u.record.restarts.size(), 1U);
    u.post(event::Blind{Blindness::BusLost});
    u.advance(1min);
    EXPECT_FALSE(u.did<effect::Spawn>());
    absent(false);
    EXPECT_EQ(u.record.restarts.size(), 1U);
    EXPECT_EQ(u.record.state, State::Backoff);
    u.advance(500ms);
    EXPECT_EQ(u.times<effect::Spawn>(), 1U);
}

TEST_F(Sight, OurStopHoldsAgainstAnInstanceThatAppearsMeanwhile) {
    appear(50);
    u.stop();
    EXPECT_EQ(u.record.state, State::Stopping);
    u.clear();
    appear(51, 0s);
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_EQ(u.times<effect::Terminate>(), 1U);
    absent(true);
    EXPECT_EQ(u.record.state, State::Stopped);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::Operator);
}

TEST_F(Sight, ARestartBySickChecksGoesThroughStopBackoffAndStart) {
    appear(50);
    for (int n = 0; n < 3; ++n) u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_TRUE(u.did<effect::Terminate>());
    absent(true, ExitStatus{true, 0, 0, false, false}); // it ended as we asked: no stop on purpose
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.desired, Desired::Running);
    u.advance(500ms);
    u.spawned();
    EXPECT_EQ(u.record.generation, 2U);
}

TEST_F(Sight, ChildrenHearNothingOfIt) {
    UnitDriver child{testing::checked_web(3)};
    child.bring_up();
    const UnitRecord before = child.record;
    child.post(event::Appeared{99, child.now});
    child.post(event::Absent{true, {}});
    child.post(event::Held{{}});
    child.post(event::Blind{Blindness::BusLost});
    EXPECT_EQ(child.record.stale_events, before.stale_events + 4);
    EXPECT_EQ(child.record.state, State::Running);
    EXPECT_EQ(child.record.pid, before.pid);
}

TEST_F(Sight, APidFileDaemonWithoutAWayToStartIsOnlyTold) {
    UnitSpec spec = daemon_of(UnitKind::Match);
    spec.heal = false;
    UnitDriver m{spec};
    m.post(event::Appeared{70, m.now - 1h});
    m.post(event::Absent{false, {}});
    EXPECT_EQ(m.record.state, State::Failed);
    EXPECT_EQ(m.record.health, Verdict::Down);
    m.post(event::Appeared{71, m.now});
    m.advance(1s);
    EXPECT_EQ(m.record.state, State::Running);
}

} // namespace
} // namespace keepwell
