// Starting, stopping and being killed: what the pages promise of one instance.
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

using testing::checked_web;
using testing::UnitDriver;
using testing::web;

TEST(LifeCycle, StartSpawnsOnceAndRunsAfterASecond) {
    UnitDriver u(web());
    u.start();
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_EQ(u.record.generation, 1U);
    u.start();
    EXPECT_EQ(u.times<effect::Spawn>(), 1U);
    u.spawned();
    EXPECT_TRUE(u.did<effect::StartChecks>());
    u.advance(999ms);
    EXPECT_EQ(u.record.state, State::Starting);
    u.advance(1ms);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Healthy);
}

TEST(LifeCycle, EveryStartZeroesTheCountersAndKeepsWhatIsDisabled) {
    UnitSpec spec = checked_web();
    spec.checks.push_back(testing::http_check());
    spec.checks[1].enabled = false;
    UnitDriver u(spec);
    u.bring_up();
    u.fail();
    u.fail();
    u.ended(1);
    u.advance(500ms);
    EXPECT_EQ(u.record.generation, 2U);
    EXPECT_EQ(u.record.checks[0], CheckCounter{});
    EXPECT_FALSE(u.record.checks[1].enabled);
}

TEST(LifeCycle, StopTerminatesAndEndsWhenTheTreeIsGone) {
    UnitDriver u(web());
    u.bring_up();
    u.clear();
    u.stop();
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_TRUE(u.did<effect::Terminate>());
    EXPECT_TRUE(u.did<effect::StopChecks>());
    u.killed(15);
    EXPECT_EQ(u.record.state, State::Stopping);
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Stopped);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::Operator);
    EXPECT_EQ(u.next_timer(), std::nullopt);
}

TEST(LifeCycle, NothingIsStartedWhileGrandchildrenLive) {
    UnitDriver u(web());
    u.bring_up();
    u.clear();
    u.exited(0);
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_TRUE(u.did<effect::Terminate>());
    u.advance(10s);
    EXPECT_TRUE(u.did<effect::Kill>());
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.tree_empty();
    u.advance(500ms);
    EXPECT_TRUE(u.did<effect::Spawn>());
}

TEST(LifeCycle, KillComesAfterTheTimeoutAndIsRepeated) {
    UnitSpec spec = web();
    spec.policy.stop.timeout = 2s;
    UnitDriver u(spec);
    u.bring_up();
    u.stop();
    u.clear();
    u.advance(1999ms);
    EXPECT_FALSE(u.did<effect::Kill>());
    u.advance(1ms);
    EXPECT_EQ(u.times<effect::Kill>(), 1U);
    EXPECT_NE(u.record.reason.kind, ReasonKind::Unkillable);
    u.advance(5s);
    EXPECT_EQ(u.times<effect::Kill>(), 2U);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::Unkillable);
    EXPECT_EQ(u.record.health, Verdict::Down);
    u.advance(1h);
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.killed(9);
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Stopped);
}

TEST(LifeCycle, KillNeverTellsAndWaits) {
    UnitSpec spec = web();
    spec.policy.stop.kill = KillScope::Never;
    UnitDriver u(spec);
    u.bring_up();
    u.stop();
    u.clear();
    u.advance(60s);
    EXPECT_FALSE(u.did<effect::Kill>());
    EXPECT_EQ(u.notes(NoteKind::Unkillable), 6U);
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(LifeCycle, StopBeforeTheAnswerToSpawnIsRemembered) {
    UnitDriver u(web());
    u.start();
    u.stop();
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_EQ(u.record.desired, Desired::Stopped);
    u.clear();
    u.spawned();
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_TRUE(u.did<effect::Terminate>());
    EXPECT_FALSE(u.did<effect::StartChecks>());
}

TEST(LifeCycle, StopBeforeAFailedSpawnEndsStopped) {
    UnitDriver u(web());
    u.start();
    u.stop();
    u.post(event::SpawnFailed{1, SpawnStage::Exec, 2, false});
    EXPECT_EQ(u.record.state, State::Stopped);
    EXPECT_EQ(u.next_timer(), std::nullopt);
}

TEST(LifeCycle, StartDuringStoppingStartsAtOnceWhenTheOldOneIsGone) {
    UnitDriver u(web());
    u.bring_up();
    u.stop();
    u.start();
    EXPECT_EQ(u.record.state, State::Stopping);
    u.clear();
    u.killed(15);
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.tree_empty();
    EXPECT_TRUE(u.did<effect::Spawn>());
}

TEST(LifeCycle, TheLastWishWins) {
    UnitDriver u(web());
    u.bring_up();
    u.post(event::Restart{});
    u.stop();
    u.killed(15);
    u.clear();
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Stopped);
    EXPECT_FALSE(u.did<effect::Spawn>());
}

TEST(LifeCycle, ReadyByCheckFailsAfterReadyTimeout) {
    UnitSpec spec = checked_web();
    spec.ready = {ReadyKind::Check, "http"};
    UnitDriver u(spec);
    u.start();
    u.spawned();
    u.advance(29s);
    EXPECT_EQ(u.record.state, State::Starting);
    u.clear();
    u.advance(1s);
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::NotReady);
    u.killed(15);
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.streak, 1U);
}

TEST(LifeCycle, ReadyMakesItRunAndEndsTheDeadline) {
    UnitSpec spec = checked_web();
    spec.ready = {ReadyKind::Notify, ""};
    UnitDriver u(spec);
    u.start();
    u.spawned();
    u.advance(5s);
    u.post(event::Ready{1});
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.deadline(TimerKind::Ready), std::nullopt);
}

TEST(LifeCycle, AnAdoptedDaemonThatWasNotReadyStillHasToSaySo) {
    UnitSpec spec = checked_web();
    spec.ready = {ReadyKind::Notify, ""};
    UnitDriver u(spec);
    u.start();
    u.spawned();
    u.advance(5s);
    u.post(event::Adopted{1, 100, u.now - 5s});
    EXPECT_EQ(u.record.state, State::Starting);
    u.post(event::Ready{1});
    EXPECT_EQ(u.record.state, State::Running);
}

TEST(LifeCycle, AnotherMainProcessKeepsEverythingButThePid) {
    UnitDriver u(web());
    u.bring_up();
    const UnitRecord before = u.record;
    u.post(event::MainChanged{1, 4711});
    EXPECT_EQ(u.record.pid, 4711);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.started_at, before.started_at);
    u.post(event::MainChanged{1, 4711});
    EXPECT_EQ(u.record.stale_events, before.stale_events + 1) << "said twice";
    u.exited(1);
    u.post(event::MainChanged{1, 4712});
    EXPECT_EQ(u.record.pid, 0) << "too late";
}

TEST(LifeCycle, AnExitWithoutAnAnswerToSpawnIsAnExit) {
    UnitDriver u(web());
    u.start();
    u.exited(3);
    EXPECT_EQ(u.record.state, State::Stopping);
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.last_exit->code, 3);
}

TEST(LifeCycle, StaleAnswersChangeNothingButTheirCount) {
    UnitDriver u(checked_web());
    u.bring_up();
    u.ended(1);
    u.advance(500ms);
    u.spawned();
    ASSERT_EQ(u.record.generation, 2U);
    const std::vector<Event> stale = {
        event::Spawned{1, 9},
        event::SpawnFailed{1, SpawnStage::Exec, 2, false},
        event::Ready{1},
        event::Exited{1, {}},
        event::TreeEmpty{1},
        event::Adopted{1, 9, u.now},
        event::StopFinished{1, true},
        event::MainChanged{1, 9},
        event::CheckResult{1, 0, CheckOutcome::Fail, 0, true, true, CheckEffect::Down, false}};
    for (const Event& event : stale) {
        UnitRecord expected = u.record;
        ++expected.stale_events;
        EXPECT_TRUE(u.post(event).empty());
        EXPECT_EQ(u.record, expected);
    }
}

TEST(LifeCycle, ATimerThatWasMovedIsDropped) {
    UnitDriver u(web());
    u.bring_up();
    u.stop();
    u.post(event::Timer{TimerKind::Kill});
    u.post(event::Timer{TimerKind::Retry});
    EXPECT_EQ(u.record.kills_sent, 0U);
    EXPECT_EQ(u.record.stale_events, 2U);
}

TEST(Adoption, ARunningUnitKeepsItsCountersAndRunsOn) {
    UnitDriver u(checked_web());
    u.bring_up();
    u.fail();
    u.fail();
    const auto counters = u.record.checks;
    u.clear();
    u.post(event::Adopted{1, 101, u.record.started_at});
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.checks, counters);
    EXPECT_TRUE(u.did<effect::StartChecks>());
    EXPECT_FALSE(u.did<effect::Spawn>());
}

TEST(Adoption, AYoungUnitGetsTheRestOfItsSecond) {
    UnitDriver u(web());
    u.start();
    u.now += 400ms;
    u.post(event::Adopted{1, 101, u.now - 400ms});
    EXPECT_EQ(u.record.state, State::Starting);
    u.advance(600ms);
    EXPECT_EQ(u.record.state, State::Running);
}

TEST(Adoption, AUnitThatShouldBeStoppedIsStopped) {
    UnitDriver u(web());
    u.bring_up();
    u.stop();
    u.killed(15);
    u.tree_empty();
    u.clear();
    u.post(event::Adopted{1, 101, u.now});
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_TRUE(u.did<effect::Terminate>());
}

TEST(Adoption, AStopUnderWayGoesOn) {
    UnitDriver u(web());
    u.bring_up();
    u.stop();
    const auto kill_at = u.record.deadline(TimerKind::Kill);
    u.clear();
    u.now += 3s;
    u.post(event::Adopted{1, 101, u.record.started_at});
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_EQ(u.record.deadline(TimerKind::Kill), kill_at);
    EXPECT_TRUE(u.did<effect::Terminate>());
}

TEST(Adoption, ADaemonOutlivesTheLossOfTheState) {
    UnitDriver u(web());
    u.post(event::Adopted{17, 101, u.now - 1min});
    EXPECT_EQ(u.record.generation, 17U);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.desired, Desired::Running);
    u.ended(0);
    u.advance(1s);
    EXPECT_EQ(u.record.generation, 18U);
}

TEST(Adoption, OneThatDiedUnseenIsRestartedByPolicy) {
    UnitDriver u(web());
    u.bring_up();
    u.post(event::Exited{1, ExitStatus{}});
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_FALSE(u.record.last_exit->known);
}

TEST(External, RunsWithoutAProcessAndNeverSpawns) {
    UnitSpec spec = checked_web();
    spec.kind = UnitKind::External;
    UnitDriver u(spec);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Unknown);
    u.start();
    EXPECT_TRUE(u.did<effect::StartChecks>());
    u.pass();
    EXPECT_EQ(u.record.health, Verdict::Healthy);
    for (int i = 0; i < 30; ++i) u.fail();
    EXPECT_EQ(u.record.health, Verdict::Down);
    EXPECT_EQ(u.record.state, State::Running);
    u.post(event::Restart{});
    u.stop();
    EXPECT_EQ(u.record.state, State::Stopped);
    EXPECT_FALSE(u.did<effect::Spawn>());
    EXPECT_FALSE(u.did<effect::Terminate>());
}

TEST(External, ASoftFailureOnlyDegrades) {
    UnitSpec spec = checked_web(2);
    spec.kind = UnitKind::External;
    UnitDriver u(spec);
    u.start();
    for (int i = 0; i < 5; ++i) {
        auto soft = u.result(CheckOutcome::Fail);
        soft.effect_override = CheckEffect::Degraded;
        soft.has_override = true;
        u.post(soft);
    }
    EXPECT_TRUE(u.record.checks[0].tripped);
    EXPECT_EQ(u.record.health, Verdict::Degraded);
}

TEST(ShouldRun, CountsWhatIsWantedEnabledAndNotDone) {
    UnitSpec spec = web();
    UnitDriver u(spec);
    EXPECT_FALSE(should_run(u.spec, u.record));
    u.start();
    EXPECT_TRUE(should_run(u.spec, u.record));
    u.record.state = State::Completed;
    EXPECT_FALSE(should_run(u.spec, u.record));
    u.record.state = State::Running;
    u.spec.enabled = false;
    EXPECT_FALSE(should_run(u.spec, u.record));
}

} // namespace
} // namespace keepwell
