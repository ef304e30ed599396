// Checks, verdicts and what a tripped check makes happen.
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

using testing::checked_web;
using testing::UnitDriver;
using testing::web;

TEST(Healing, RestartsAtTheThresholdWithTheReasonKept) {
    UnitDriver u(checked_web(3));
    u.bring_up();
    u.fail();
    EXPECT_EQ(u.record.health, Verdict::Degraded);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::CheckFailing);
    EXPECT_EQ(u.record.reason.count, 1U);
    EXPECT_EQ(u.record.reason.of, 3U);
    EXPECT_FALSE(u.record.incident_since);
    u.fail();
    EXPECT_EQ(u.record.state, State::Running);
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_EQ(u.record.desired, Desired::Running);
    EXPECT_EQ(u.record.reason.count, 3U);
    EXPECT_EQ(u.record.reason.code, 503);
    EXPECT_EQ(u.record.health, Verdict::Down);
    u.killed(15);
    u.tree_empty();
    EXPECT_EQ(u.record.state, State::Backoff);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::CheckFailing);
}

TEST(Healing, AnIncidentEndsOnlyWithAProvenPass) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    u.fail();
    const Instant began = u.now;
    u.killed(15);
    u.tree_empty();
    u.advance(500ms);
    u.spawned();
    EXPECT_EQ(u.record.health, Verdict::Down);
    u.advance(1s);
    ASSERT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Down);
    u.clear();
    u.pass();
    EXPECT_EQ(u.record.health, Verdict::Healthy);
    EXPECT_EQ(u.noted(NoteKind::Healthy)->delay, u.now - began);
    EXPECT_FALSE(u.record.incident_since);
}

TEST(Healing, FailuresInGraceDoNotCountAndTheFirstPassEndsGrace) {
    UnitSpec spec = checked_web(1);
    spec.checks[0].grace = 30s;
    UnitDriver u(spec);
    u.start();
    u.spawned();
    u.advance(1s);
    for (int i = 0; i < 10; ++i) u.fail();
    EXPECT_EQ(u.record.checks[0].failures, 0U);
    EXPECT_EQ(u.record.health, Verdict::Unknown);
    u.pass();
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Healing, GraceBelongsToThisStart) {
    UnitSpec spec = checked_web(1);
    spec.checks[0].grace = 30s;
    UnitDriver u(spec);
    u.bring_up();
    u.advance(1h);
    u.ended(1);
    u.advance(500ms);
    u.spawned();
    u.advance(29s);
    u.fail();
    EXPECT_EQ(u.record.state, State::Running);
    u.advance(1s);
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Healing, AWarningDegradesAtOnceAndNeverHeals) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    for (int i = 0; i < 20; ++i) u.check(CheckOutcome::Warn, 200);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Degraded);
    EXPECT_EQ(u.record.reason.kind, ReasonKind::CheckWarning);
    EXPECT_EQ(u.notes(NoteKind::CheckWarned), 1U);
}

TEST(Healing, AReadinessLikeCheckNeverRestarts) {
    UnitSpec spec = checked_web(1);
    spec.checks[0].heals = false;
    UnitDriver u(spec);
    u.bring_up();
    for (int i = 0; i < 20; ++i) u.fail();
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Down);
}

TEST(Healing, TheEffectDecidesTheVerdict) {
    const std::pair<CheckEffect, Verdict> table[] = {{CheckEffect::Down, Verdict::Down},
                                                     {CheckEffect::Degraded, Verdict::Degraded},
                                                     {CheckEffect::Unknown, Verdict::Unknown},
                                                     {CheckEffect::None, Verdict::Healthy}};
    for (const auto& [effect, verdict] : table) {
        UnitSpec spec = checked_web(2);
        spec.checks[0].effect = effect;
        spec.checks[0].heals = false;
        UnitDriver u(spec);
        u.bring_up();
        u.fail();
        u.fail();
        EXPECT_EQ(u.record.health, verdict) << to_string(effect);
    }
}

TEST(Healing, TheWorstCheckGivesVerdictAndReason) {
    UnitSpec spec = checked_web(1);
    spec.checks[0].effect = CheckEffect::Degraded;
    spec.checks.push_back(testing::http_check(1));
    spec.checks[1].heals = false;
    UnitDriver u(spec);
    u.bring_up();
    u.fail(0);
    EXPECT_EQ(u.record.health, Verdict::Degraded);
    u.fail(1);
    EXPECT_EQ(u.record.health, Verdict::Down);
    EXPECT_EQ(u.record.reason.check, 1U);
    u.pass(1);
    EXPECT_EQ(u.record.health, Verdict::Degraded);
    EXPECT_EQ(u.record.reason.check, 0U);
}

TEST(Healing, AnUnrunCheckIsUnknown) {
    UnitDriver u(checked_web());
    u.start();
    u.spawned();
    u.advance(1s);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Unknown);
}

TEST(Healing, ADisabledCheckSaysNothing) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    u.post(event::CheckEnabled{0, false});
    u.fail();
    EXPECT_EQ(u.record.health, Verdict::Healthy);
    u.post(event::CheckEnabled{0, true});
    EXPECT_EQ(u.record.health, Verdict::Unknown);
    u.post(event::CheckEnabled{9, true});
}

TEST(Healing, TheStormGuardHoldsARestartUntilItsTurn) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    auto held = u.result(CheckOutcome::Fail);
    held.heal_allowed = false;
    u.post(held);
    u.post(held);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Down);
    EXPECT_EQ(u.notes(NoteKind::HeldByStormGuard), 2U);
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Healing, ALaggingLoopBlamesNobody) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    auto lagged = u.result(CheckOutcome::Fail);
    lagged.counts = false;
    for (int i = 0; i < 5; ++i) u.post(lagged);
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.checks[0].failures, 0U);
    EXPECT_EQ(u.record.health, Verdict::Degraded);
}

TEST(Healing, DryRunAndHealOffAndPauseSayItOnceForEachTrip) {
    for (int mode = 0; mode < 3; ++mode) {
        UnitSpec spec = checked_web(1);
        spec.dry_run = mode == 0;
        spec.heal = mode != 1;
        UnitDriver u(spec);
        u.bring_up();
        if (mode == 2) u.post(event::Pause{std::nullopt});
        for (int i = 0; i < 10; ++i) u.fail();
        EXPECT_EQ(u.record.state, State::Running);
        EXPECT_EQ(u.record.health, Verdict::Down);
        EXPECT_EQ(u.notes(NoteKind::WouldRestart), 1U);
        EXPECT_EQ(u.noted(NoteKind::WouldRestart)->code, mode);
        EXPECT_EQ(u.record.incident_attempts, 0U);
    }
}

TEST(Healing, ResumeHealsWhatStillFails) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    u.post(event::Pause{std::nullopt});
    u.fail();
    u.post(event::Resume{});
    EXPECT_EQ(u.record.state, State::Running);
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Healing, AUnitThatIsNeverRestartedIsNotKilledForACheck) {
    UnitSpec spec = checked_web(1);
    spec.policy.restart = RestartMode::Never;
    UnitDriver u(spec);
    u.bring_up();
    u.fail();
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.noted(NoteKind::WouldRestart)->code, 3);
}

TEST(Healing, ResultsWhileStoppingAreDropped) {
    UnitDriver u(checked_web(1));
    u.bring_up();
    u.stop();
    const UnitRecord before = u.record;
    u.fail();
    EXPECT_EQ(u.record.checks, before.checks);
    EXPECT_EQ(u.record.reason, before.reason);
}

LadderStep reload_step(Duration cooldown = 0s) {
    LadderStep step;
    step.kind = LadderKind::Reload;
    step.cooldown = cooldown;
    return step;
}

TEST(Ladder, StepsFollowTheAttemptsOfOneIncident) {
    UnitSpec spec = checked_web(2);
    spec.policy.ladder = {reload_step(), LadderStep{}};
    UnitDriver u(spec);
    u.bring_up();
    const auto fail_later = [&u] {
        u.advance(10s);
        u.fail();
    };
    fail_later();
    fail_later();
    EXPECT_EQ(u.times<effect::RunLadder>(), 1U);
    EXPECT_EQ(u.record.state, State::Running);
    fail_later(); // the reload gets as many results as the first time to show that it helped
    EXPECT_EQ(u.record.state, State::Running);
    fail_later();
    EXPECT_EQ(u.record.state, State::Stopping);
    EXPECT_EQ(u.record.incident_attempts, 2U);
}

TEST(Ladder, StartsAgainWithANewIncident) {
    UnitSpec spec = checked_web(1);
    spec.policy.ladder = {reload_step(), LadderStep{}};
    UnitDriver u(spec);
    u.bring_up();
    for (int i = 0; i < 5; ++i) {
        u.advance(1min);
        u.fail();
        u.pass();
    }
    EXPECT_EQ(u.times<effect::RunLadder>(), 5U);
    EXPECT_EQ(u.record.state, State::Running);
}

TEST(Ladder, ACooldownHoldsTheNextStep) {
    UnitSpec spec = checked_web(1);
    spec.policy.ladder = {reload_step(5min), LadderStep{}};
    UnitDriver u(spec);
    u.bring_up();
    u.fail();
    for (int i = 0; i < 29; ++i) {
        u.advance(10s);
        u.fail();
    }
    EXPECT_EQ(u.record.state, State::Running);
    u.advance(10s);
    u.fail();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Ladder, TwoChecksThatTripTogetherTakeOneStep) {
    UnitSpec spec = checked_web(1);
    spec.checks.push_back(testing::http_check(1));
    spec.policy.ladder = {reload_step()};
    UnitDriver u(spec);
    u.bring_up();
    u.fail(0);
    u.fail(1);
    EXPECT_EQ(u.times<effect::RunLadder>(), 1U);
}

TEST(Ladder, PastItsEndTheLastRestartRepeats) {
    UnitSpec spec = checked_web(1);
    spec.policy.ladder = {LadderStep{}, reload_step()};
    UnitDriver u(spec);
    u.bring_up();
    const auto heal = [&u] {
        u.advance(1min);
        u.fail();
    };
    const auto back = [&u] {
        u.killed(15);
        u.tree_empty();
        u.advance(2min);
        u.spawned();
        u.advance(1s);
    };
    heal();
    ASSERT_EQ(u.record.state, State::Stopping);
    back();
    heal();
    EXPECT_EQ(u.times<effect::RunLadder>(), 1U);
    heal();
    EXPECT_EQ(u.record.state, State::Stopping);
}

TEST(Ladder, AnEmptyOneOnlyTells) {
    UnitSpec spec = checked_web(1);
    spec.policy.ladder.clear();
    UnitDriver u(spec);
    u.bring_up();
    for (int i = 0; i < 5; ++i) u.fail();
    EXPECT_EQ(u.record.state, State::Running);
    EXPECT_EQ(u.record.health, Verdict::Down);
}

} // namespace
} // namespace keepwell
