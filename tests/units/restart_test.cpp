// Backoff, budget, cooldown and what an operator's word does to them.
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

using testing::checked_web;
using testing::UnitDriver;
using testing::web;

Duration wait_of(const UnitDriver& u) { return *u.record.deadline(TimerKind::Retry) - u.now; }

// Dies as soon as it was spawned, for good.
void crash(UnitDriver& u) {
    u.advance(wait_of(u));
    u.spawned();
    u.ended(1);
}

TEST(Backoff, GrowsByTheFactorUpToItsMaximum) {
    BackoffPolicy policy;
    EXPECT_EQ(backoff_delay(policy, 1, 0.5), 500ms);
    EXPECT_EQ(backoff_delay(policy, 2, 0.5), 1s);
    EXPECT_EQ(backoff_delay(policy, 7, 0.5), 32s);
    EXPECT_EQ(backoff_delay(policy, 8, 0.5), 60s);
    EXPECT_EQ(backoff_delay(policy, 4'000'000'000U, 0.5), 60s);
}

TEST(Backoff, JitterSpreadsBothWays) {
    BackoffPolicy policy;
    EXPECT_EQ(backoff_delay(policy, 2, 0.0), 900ms);
    EXPECT_GT(backoff_delay(policy, 2, 0.999), 1099ms);
    EXPECT_LT(backoff_delay(policy, 2, 0.999), 1100ms);
}

TEST(Backoff, OddNumbersNeverGiveANegativeOrEndlessWait) {
    BackoffPolicy policy;
    policy.jitter = 5;
    policy.factor = 1e300;
    EXPECT_GE(backoff_delay(policy, 9, 0.0), 0s);
    EXPECT_LE(backoff_delay(policy, 9, 1.0), 24h);
}

TEST(Restarting, AnExitWaitsForItsBackoff) {
    UnitDriver u(web());
    u.bring_up();
    u.clear();
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.health, Verdict::Down);
    EXPECT_EQ(wait_of(u), 500ms);
    u.advance(499ms);
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.advance(1ms);
    EXPECT_TRUE(u.did<effect::Spawn>());
    EXPECT_EQ(u.record.restarts_total, 1U);
}

TEST(Restarting, AnExitAtOnceIsNeverSeenAsRunning) {
    UnitDriver u(web());
    u.start();
    for (int i = 0; i < 5; ++i) {
        u.spawned();
        u.advance(900ms);
        u.ended(0);
        u.advance(wait_of(u));
    }
    EXPECT_EQ(u.notes(NoteKind::Running), 0U);
}

TEST(Restarting, ZeroDelayStillPassesThroughBackoff) {
    UnitSpec spec = web();
    spec.policy.backoff.initial = 0s;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(wait_of(u), 0s);
}

TEST(Restarting, BeingAliveDoesNotResetTheBackoffBeingHealthyDoes) {
    UnitDriver u(checked_web());
    u.bring_up();
    u.ended(1);
    u.advance(500ms);
    u.spawned();
    u.advance(10min); // alive, but nobody saw it healthy
    EXPECT_EQ(u.record.streak, 1U);
    u.pass();
    u.advance(59s);
    EXPECT_EQ(u.record.streak, 1U);
    u.fail(); // degraded: the time starts anew
    u.pass();
    u.advance(59s);
    EXPECT_EQ(u.record.streak, 1U);
    u.advance(1s);
    EXPECT_EQ(u.record.streak, 0U);
    EXPECT_TRUE(u.record.restarts.empty());
    EXPECT_EQ(u.notes(NoteKind::BackoffReset), 1U);
}

TEST(Budget, TheRestartAfterTheLastOneWaitsInCooldown) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 3;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    for (int i = 0; i < 2; ++i) crash(u);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.restarts.size(), 3U);
    crash(u);
    EXPECT_EQ(u.record.state, State::Cooldown);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::BudgetSpent);
    EXPECT_EQ(wait_of(u), 5min);
    crash(u); // one attempt each cooldown, never a dead end
    EXPECT_EQ(u.record.state, State::Cooldown);
    EXPECT_EQ(wait_of(u), 5min);
    EXPECT_EQ(u.notes(NoteKind::BudgetSpent), 1U);
}

TEST(Budget, TenDelaysRideOutAFailoverOfAboutFourMinutes) {
    UnitDriver u(web());
    u.bring_up();
    const Instant began = u.now;
    u.ended(1);
    for (int i = 0; i < 9; ++i) crash(u);
    u.advance(wait_of(u));
    EXPECT_GT(u.now - began, 3min);
    EXPECT_LT(u.now - began, 5min);
}

TEST(Budget, RestartsLeaveTheWindow) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 1;
    spec.policy.backoff.reset_after = 24h;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    u.advance(wait_of(u));
    u.spawned();
    u.advance(11min);
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.restarts.size(), 1U);
    EXPECT_EQ(u.record.streak, 2U);
}

TEST(Budget, ThenStopGivesUpUntilSomebodyStartsIt) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 0;
    spec.policy.budget.then = BudgetThen::Stop;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Failed);
    EXPECT_EQ(u.record.desired, Desired::Running);
    EXPECT_EQ(u.notes(NoteKind::GaveUp), 1U);
    u.advance(24h);
    EXPECT_EQ(u.record.state, State::Failed);
    u.start();
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_FALSE(u.record.budget_spent);
}

TEST(Budget, CooldownEndsOnlyByHealthOrByHand) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 1;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    crash(u);
    u.advance(wait_of(u));
    u.spawned();
    u.advance(30s); // healthy, but not for reset_after
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Cooldown);
    u.advance(wait_of(u));
    u.spawned();
    u.advance(2min);
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Backoff);
}

TEST(ManualRestart, NeitherUsesNorIsBlockedByTheBudget) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 1;
    UnitDriver u(spec);
    u.bring_up();
    for (int i = 0; i < 20; ++i) {
        u.post(event::Restart{});
        u.killed(15);
        u.tree_empty();
        EXPECT_EQ(u.record.state, State::Starting);
        u.spawned();
        u.advance(1s);
    }
    EXPECT_TRUE(u.record.restarts.empty());
    EXPECT_EQ(u.record.restarts_total, 20U);
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Backoff);
}

TEST(ManualRestart, EndsACooldown) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 0;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    ASSERT_EQ(u.record.state, State::Cooldown);
    u.post(event::Restart{});
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_FALSE(u.record.budget_spent);
}

TEST(ManualRestart, OfAStoppedUnitIsAStart) {
    UnitDriver u(web());
    u.post(event::Restart{});
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_EQ(u.record.restarts_total, 0U);
}

TEST(ManualStop, WorksInEveryKindOfWaiting) {
    for (const State state : {State::Backoff, State::Cooldown, State::Failed, State::Waiting}) {
        UnitDriver u(web());
        u.start();
        u.record.state = state;
        u.record.deadline(TimerKind::Retry) = u.now + 1s;
        u.stop();
        EXPECT_EQ(u.record.state, State::Stopped) << to_string(state);
        EXPECT_EQ(u.next_timer(), std::nullopt);
    }
}

TEST(TransientSpawnFailure, WaitsByItsOwnStreakAndLeavesTheBudget) {
    UnitDriver u(web());
    u.start();
    for (int i = 0; i < 30; ++i) {
        u.post(event::SpawnFailed{u.record.generation, SpawnStage::Fork, 11, true});
        EXPECT_EQ(u.record.state, State::Backoff);
        EXPECT_EQ(wait_of(u), backoff_delay(u.spec.policy.backoff, i + 1U, 0.5));
        u.advance(wait_of(u));
    }
    EXPECT_EQ(u.record.streak, 0U);
    EXPECT_TRUE(u.record.restarts.empty());
    EXPECT_EQ(u.record.reason.kind, ReasonKind::HostBusy);
}

TEST(SpawnFailure, IsDecidedLikeAnExit) {
    UnitDriver u(web());
    u.start();
    u.post(event::SpawnFailed{1, SpawnStage::Directory, 2, false});
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.streak, 1U);
    EXPECT_EQ(u.record.reason.stage, SpawnStage::Directory);
    EXPECT_EQ(u.record.reason.code, 2);
}

TEST(RestartNever, EndsCompletedOrFailed) {
    UnitSpec spec = web();
    spec.policy.restart = RestartMode::Never;
    UnitDriver well(spec);
    well.bring_up();
    well.ended(0);
    EXPECT_EQ(well.record.state, State::Completed);
    EXPECT_EQ(well.record.health, Verdict::Healthy);
    UnitDriver badly(spec);
    badly.bring_up();
    badly.ended(2);
    EXPECT_EQ(badly.record.state, State::Failed);
    EXPECT_EQ(badly.record.health, Verdict::Down);
    UnitDriver unborn(spec);
    unborn.start();
    unborn.post(event::SpawnFailed{1, SpawnStage::Exec, 2, false});
    EXPECT_EQ(unborn.record.state, State::Failed);
}

TEST(RestartNever, AUnitThatEndsWellIsNeverShownDown) {
    UnitSpec spec = web();
    spec.policy.restart = RestartMode::Never;
    UnitDriver u(spec);
    u.bring_up();
    u.exited(0);
    EXPECT_NE(u.record.health, Verdict::Down);
}

TEST(RestartOnFailure, HonoursTheSuccessCodes) {
    UnitSpec spec = web();
    spec.policy.restart = RestartMode::OnFailure;
    spec.policy.success_exit_codes = {0, 7};
    UnitDriver well(spec);
    well.bring_up();
    well.ended(7);
    EXPECT_EQ(well.record.state, State::Completed);
    UnitDriver badly(spec);
    badly.bring_up();
    badly.ended(1);
    EXPECT_EQ(badly.record.state, State::Backoff);
    UnitDriver killed(spec);
    killed.bring_up();
    killed.killed(9);
    killed.tree_empty();
    EXPECT_EQ(killed.record.state, State::Backoff);
    UnitDriver unseen(spec);
    unseen.bring_up();
    unseen.post(event::Exited{1, ExitStatus{}});
    unseen.tree_empty();
    EXPECT_EQ(unseen.record.state, State::Backoff);
}

TEST(RestartOnFailure, AStopByAFailingCheckIsAFailureWhateverTheExitCode) {
    UnitSpec spec = checked_web(1);
    spec.policy.restart = RestartMode::OnFailure;
    UnitDriver u(spec);
    u.bring_up();
    u.fail();
    ASSERT_EQ(u.record.state, State::Stopping);
    u.ended(0);
    EXPECT_EQ(u.record.state, State::Backoff);
}

TEST(RestartOnFailure, UnkillableLeftOversDoNotHideAGoodEnd) {
    UnitSpec spec = web();
    spec.policy.restart = RestartMode::OnFailure;
    UnitDriver u(spec);
    u.bring_up();
    u.exited(0);
    u.advance(1min);
    ASSERT_EQ(u.record.reason.kind, ReasonKind::Unkillable);
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Completed);
}

TEST(Reset, ForgetsEverythingAndStartsWhatWaits) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 0;
    UnitDriver u(spec);
    u.bring_up();
    u.ended(1);
    ASSERT_EQ(u.record.state, State::Cooldown);
    u.post(event::Reset{});
    EXPECT_EQ(u.record.state, State::Starting);
    EXPECT_FALSE(u.record.budget_spent);
}

TEST(Pause, AnExitIsLeftAloneUntilResume) {
    UnitDriver u(web());
    u.bring_up();
    u.post(event::Pause{std::nullopt});
    u.clear();
    u.exited(1);
    EXPECT_FALSE(u.did<effect::Terminate>());
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.noted(NoteKind::WouldRestart)->code, 2);
    u.advance(24h);
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.post(event::Resume{});
    u.advance(0s);
    EXPECT_EQ(u.times<effect::Spawn>(), 1U);
}

TEST(Pause, EndsByItself) {
    UnitDriver u(web());
    u.bring_up();
    u.post(event::Pause{u.now + 10min});
    u.ended(1);
    u.advance(10min - 1ns);
    EXPECT_EQ(u.record.state, State::Backoff);
    u.advance(1ns);
    EXPECT_FALSE(u.record.paused);
    EXPECT_EQ(u.record.state, State::Starting);
}

TEST(Pause, HoldsARetryThatIsDue) {
    UnitDriver u(web());
    u.bring_up();
    u.ended(1);
    u.post(event::Pause{std::nullopt});
    u.clear();
    u.advance(1h);
    EXPECT_FALSE(u.did<effect::Spawn>());
    u.post(event::Resume{});
    u.advance(0s);
    EXPECT_TRUE(u.did<effect::Spawn>());
}

TEST(Pause, LeftOversAreToldToGoByTheNextWord) {
    for (const Event& word : {Event{event::Stop{}}, Event{event::Restart{}}, Event{event::Start{}},
                              Event{event::Resume{}}}) {
        UnitDriver u(web());
        u.bring_up();
        u.post(event::Pause{std::nullopt});
        u.exited(1);
        u.clear();
        u.post(word);
        EXPECT_TRUE(u.did<effect::Terminate>()) << word.index();
    }
}

TEST(DryRun, SaysWhatItWouldDoAndDoesNothing) {
    UnitSpec dry = web();
    dry.dry_run = true;
    UnitDriver u(dry);
    u.bring_up();
    u.ended(1);
    EXPECT_EQ(u.record.state, State::Failed);
    EXPECT_EQ(u.record.desired, Desired::Running);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::Exited);
    EXPECT_EQ(u.noted(NoteKind::WouldRestart)->code, 0);
    UnitSpec watched = web();
    watched.heal = false;
    UnitDriver w(watched);
    w.bring_up();
    w.ended(1);
    EXPECT_EQ(w.record.state, State::Failed);
    EXPECT_EQ(w.noted(NoteKind::WouldRestart)->code, 1);
}

} // namespace
} // namespace keepwell
