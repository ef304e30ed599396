#include "supervisor/engine/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell {
namespace {

using testing::HasSubstr;

UnitSpec web() { // the example of docs/cli.md
    UnitSpec spec;
    spec.key = spec.name = "web";
    spec.policy.name = "web";
    spec.policy.backoff.max = 30s;
    CheckSpec check;
    check.id = "http";
    check.probe = HttpCheckSpec{};
    check.failures = 2;
    spec.checks.push_back(check);
    return spec;
}

std::string topic(const UnitSpec& spec, const std::string& wanted) {
    std::string out;
    for (const auto& line : explain_policy(spec)) {
        if (line.topic == wanted) out += line.text + "\n";
    }
    return out;
}

TEST(Explain, TheScheduleOfTheManualsExample) {
    const UnitSpec spec = web();
    EXPECT_EQ(topic(spec, "trip"),
              "2 failed checks in a row, every 10 s (2 s after a first failure): within 12 s of a "
              "clean failure, 22 s of a hang\n");
    EXPECT_EQ(topic(spec, "stop"), "SIGTERM, after 10 s SIGKILL to the tree\n");
    EXPECT_EQ(topic(spec, "restarts"),
              "after 0.5 s, 1 s, 2 s, 4 s, 8 s, 16 s, 30 s, 30 s, 30 s, 30 s (±10 %)  = 10 within "
              "10 m\n");
    EXPECT_EQ(topic(spec, "then"), "cooldown: one try every 5 m until healthy for 60 s\n");
    EXPECT_EQ(topic(spec, "worst"),
              "about 2.5 m of fast tries, then at most 5 m between tries; never gives up\n");
}

TEST(Explain, ALastBudgetThatStopsSaysSo) {
    UnitSpec spec = web();
    spec.policy.budget.then = BudgetThen::Stop;
    EXPECT_THAT(topic(spec, "then"), HasSubstr("state failed"));
    EXPECT_THAT(topic(spec, "worst"), HasSubstr("gives up"));
}

TEST(Explain, ABudgetThatItsOwnDelaysOutlastIsNeverSpent) {
    UnitSpec spec = web();
    spec.policy.backoff.max = 10min;
    spec.policy.backoff.factor = 10;
    EXPECT_THAT(topic(spec, "worst"), HasSubstr("outlast the 10 m of the budget"));
}

TEST(Explain, AHugeBudgetIsCutShortAndQuick) {
    UnitSpec spec = web();
    spec.policy.budget.restarts = 4'000'000'000U;
    EXPECT_THAT(topic(spec, "restarts"), HasSubstr("30 s, …"));
}

TEST(Explain, ChecksWithOneScheduleShareALineAndOthersHaveTheirOwn) {
    UnitSpec spec = web();
    CheckSpec port = spec.checks[0];
    port.id = "port";
    spec.checks.push_back(port);
    EXPECT_EQ(topic(spec, "trip").find('\n'), topic(spec, "trip").size() - 1);
    spec.checks[1].heals = false;
    EXPECT_THAT(topic(spec, "trip"), HasSubstr("http: 2 failed"));
    EXPECT_THAT(topic(spec, "trip"), HasSubstr("never restarts"));
}

TEST(Explain, OneFailureNeedsNoRetry) {
    UnitSpec spec = web();
    spec.checks[0].failures = 1;
    EXPECT_EQ(topic(spec, "trip"), "1 failed check, every 10 s: within 10 s of a clean failure, "
                                   "15 s of a hang\n");
}

TEST(Explain, RestartNeverAndOnFailure) {
    UnitSpec spec = web();
    spec.policy.restart = RestartMode::Never;
    EXPECT_THAT(topic(spec, "restarts"), HasSubstr("never"));
    EXPECT_EQ(topic(spec, "then"), "");
    spec.policy.restart = RestartMode::OnFailure;
    EXPECT_THAT(topic(spec, "except"), HasSubstr("completes it"));
}

TEST(Explain, AnExternalUnitHasNothingToRestart) {
    UnitSpec spec = web();
    spec.kind = UnitKind::External;
    EXPECT_EQ(topic(spec, "restarts"), "");
    EXPECT_THAT(topic(spec, "trip"), HasSubstr("nothing to restart"));
}

TEST(Explain, WhatHoldsActionsBackIsSaid) {
    UnitSpec spec = web();
    spec.heal = false;
    spec.dry_run = true;
    spec.requires_units = {"db"};
    EXPECT_THAT(topic(spec, "but"), HasSubstr("heal = false"));
    for (const char* never : {"restarts", "then", "worst", "ladder"})
        EXPECT_EQ(topic(spec, never), "") << "what is only watched has no schedule";
    EXPECT_THAT(topic(spec, "but"), HasSubstr("dry_run"));
    EXPECT_THAT(topic(spec, "requires"), HasSubstr("db"));
}

TEST(Explain, TheTitleNamesThePolicyAndWhereItWasChosen) {
    UnitSpec spec = web();
    EXPECT_EQ(policy_title(spec), "web (inherits default)");
    spec.where.positions["policy"] = {"conf.d/web.toml", 14, 10};
    EXPECT_EQ(policy_title(spec), "web (chosen at conf.d/web.toml:14, inherits default)");
    spec.policy.name = "default";
    spec.where.positions.clear();
    EXPECT_EQ(policy_title(spec), "default");
}

} // namespace
} // namespace keepwell
