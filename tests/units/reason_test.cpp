#include "units/reason.h"

#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace keepwell {
namespace {

using testing::checked_web;
using testing::web;

std::string key_of(UnitIndex i) { return i == 7 ? "db" : "other"; }

std::string text(const Reason& reason, const UnitSpec& spec, const std::string& detail = "") {
    return describe(reason, spec, key_of, detail);
}

Reason failing(int code, std::uint32_t count, std::uint32_t of) {
    Reason reason;
    reason.kind = ReasonKind::CheckFailing;
    reason.code = code;
    reason.count = count;
    reason.of = of;
    return reason;
}

Reason of_kind(ReasonKind kind) {
    Reason reason;
    reason.kind = kind;
    return reason;
}

TEST(ReasonText, AFailingCheckShowsItsAnswerAndTheCount) {
    EXPECT_EQ(text(failing(503, 1, 3), checked_web(), "http 503"), "http 503 (1/3)");
    EXPECT_EQ(text(failing(0, 2, 3), checked_web(), "timed out"), "http timed out (2/3)");
    EXPECT_EQ(text(failing(0, 3, 3), checked_web(), "connection refused."),
              "http connection refused (3/3)");
    EXPECT_EQ(text(failing(0, 1, 3), checked_web()), "http failed (1/3)");
}

TEST(ReasonText, ChecksOfOneTypeAreToldApartByTheirId) {
    UnitSpec spec = checked_web();
    spec.checks.push_back(spec.checks[0]);
    spec.checks[1].id = "login";
    Reason reason = failing(503, 1, 3);
    EXPECT_EQ(text(reason, spec), "http 503 (1/3)");
    reason.check = 1;
    EXPECT_EQ(text(reason, spec), "login: http 503 (1/3)");
}

TEST(ReasonText, AnExecCheckShowsItsExitCode) {
    UnitSpec spec = checked_web();
    spec.checks[0].id = "disk";
    spec.checks[0].probe = ExecCheckSpec{};
    EXPECT_EQ(text(failing(2, 1, 3), spec, "disk full"), "exec exit 2 (1/3)");
}

TEST(ReasonText, EndsAndStartsThatFailed) {
    Reason reason = of_kind(ReasonKind::Exited);
    reason.status.known = true;
    reason.status.code = 1;
    EXPECT_EQ(text(reason, web()), "exit 1");
    reason = of_kind(ReasonKind::SpawnFailed);
    reason.stage = SpawnStage::Directory;
    reason.code = ENOENT;
    EXPECT_EQ(text(reason, web()), "cannot start: chdir: No such file or directory");
    reason.stage = SpawnStage::PreStart;
    reason.code = 3;
    EXPECT_EQ(text(reason, web()), "cannot start: pre_start: exit 3");
    reason.code = 128 + 9;
    EXPECT_EQ(text(reason, web()), "cannot start: pre_start: SIGKILL");
    reason = of_kind(ReasonKind::HostBusy);
    reason.stage = SpawnStage::Fork;
    reason.code = EAGAIN;
    EXPECT_EQ(text(reason, web()), "host busy: fork: Resource temporarily unavailable");
}

TEST(ReasonText, TheOthersNameTheirNumbers) {
    EXPECT_EQ(text(of_kind(ReasonKind::None), web()), "");
    EXPECT_EQ(text(of_kind(ReasonKind::NotReady), web()), "not ready after 30s");
    EXPECT_EQ(text(of_kind(ReasonKind::BudgetSpent), web()), "budget spent (10 in 10m)");
    EXPECT_EQ(text(of_kind(ReasonKind::Unkillable), web()), "not killed by SIGKILL");
    Reason needs = of_kind(ReasonKind::Dependency);
    needs.unit = 7;
    EXPECT_EQ(text(needs, web()), "needs db");
}

TEST(ReasonText, AnIndexOutOfRangeIsNoCrash) {
    EXPECT_EQ(text(failing(0, 1, 3), web()), "check failed (1/3)");
}

TEST(HumanDuration, UsesAtMostTwoUnits) {
    EXPECT_EQ(human_duration(500ms), "500ms");
    EXPECT_EQ(human_duration(2s), "2s");
    EXPECT_EQ(human_duration(1500ms), "1.5s");
    EXPECT_EQ(human_duration(90s), "1m 30s");
    EXPECT_EQ(human_duration(10min), "10m");
    EXPECT_EQ(human_duration(3h + 2min + 5s), "3h 2m");
    EXPECT_EQ(human_duration(24h * 12), "12d");
    EXPECT_EQ(human_duration(25h), "1d 1h");
    EXPECT_EQ(human_duration(0s), "0ms");
}

} // namespace
} // namespace keepwell
