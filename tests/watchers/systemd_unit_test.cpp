#include "watchers/systemd_unit.h"

#include <csignal>
#include <gtest/gtest.h>

namespace keepwell {
namespace {

SystemdUnitState running() {
    SystemdUnitState s;
    s.name = s.id = "web.service";
    s.load_state = "loaded";
    s.active_state = "active";
    s.sub_state = "running";
    s.result = "success";
    s.restart = "no";
    s.main_pid = 77;
    s.exec_main_start = 5'000'000;
    s.active_enter = 6'000'000;
    return s;
}

SystemdUnitState ended(const char* active, const char* result) {
    SystemdUnitState s = running();
    s.active_state = active;
    s.sub_state = active[0] == 'f' ? "failed" : "dead";
    s.result = result;
    s.main_pid = 0;
    s.inactive_enter = 9'000'000;
    s.exec_main_code = CLD_KILLED;
    s.exec_main_status = SIGKILL;
    return s;
}

TEST(SystemdUnit, ARunningOneIsThereWithItsMainProcess) {
    const SystemdSight sight = judge(running(), false);
    EXPECT_EQ(sight.kind, SightKind::There);
    EXPECT_EQ(sight.pid, 77);
    EXPECT_EQ(sight.started_at, Instant{} + std::chrono::seconds(5));
    SystemdUnitState target = running();
    target.main_pid = 0;
    EXPECT_EQ(judge(target, false).started_at, Instant{} + std::chrono::seconds(6));
}

TEST(SystemdUnit, AKilledOneIsGoneAndNotOnPurpose) {
    const SystemdSight sight = judge(ended("failed", "signal"), true);
    EXPECT_EQ(sight.kind, SightKind::Gone);
    EXPECT_FALSE(sight.on_purpose);
    EXPECT_FALSE(sight.passing) << "nobody restarts it: believed at once";
    EXPECT_EQ(sight.status.signal, SIGKILL);
    SystemdUnitState restarts = ended("failed", "signal");
    restarts.restart = "always";
    EXPECT_TRUE(judge(restarts, true).passing);
}

TEST(SystemdUnit, InactiveWithSuccessIsSomebodysStopIfItEverRan) {
    EXPECT_TRUE(judge(ended("inactive", "success"), false).on_purpose);
    SystemdUnitState never = ended("inactive", "success");
    never.inactive_enter = 0;
    EXPECT_FALSE(judge(never, false).on_purpose) << "never started since the host did";
    EXPECT_TRUE(judge(never, true).on_purpose) << "unloaded, but we saw it run";
}

TEST(SystemdUnit, WhatPassesIsNoEnd) {
    SystemdUnitState s = ended("inactive", "success");
    s.job_id = 12; // a restart by hand
    EXPECT_EQ(judge(s, true).kind, SightKind::Coming);
    for (const char* state : {"activating", "deactivating", "maintenance", ""}) {
        s = running();
        s.active_state = state;
        s.sub_state = "start";
        EXPECT_EQ(judge(s, true).kind, SightKind::Coming) << state;
    }
}

TEST(SystemdUnit, AutoRestartIsHeld) {
    SystemdUnitState s = ended("activating", "signal");
    s.sub_state = "auto-restart";
    const SystemdSight sight = judge(s, true);
    EXPECT_EQ(sight.kind, SightKind::Held);
    EXPECT_EQ(sight.status.signal, SIGKILL);
}

TEST(SystemdUnit, MaskedAndUnknownOnesCannotBeHelpedUnlessTheyRun) {
    SystemdUnitState s = ended("inactive", "success");
    s.load_state = "masked";
    EXPECT_EQ(judge(s, false).kind, SightKind::Invisible);
    EXPECT_EQ(judge(s, false).why, Blindness::Masked);
    s.load_state = "not-found";
    EXPECT_EQ(judge(s, false).why, Blindness::NotFound);
    s = running();
    s.load_state = "masked";
    EXPECT_EQ(judge(s, false).kind, SightKind::There);
}

TEST(SystemdUnit, HowItEnded) {
    SystemdUnitState s = running();
    EXPECT_FALSE(exit_of(s).known);
    s.exec_main_code = CLD_EXITED;
    s.exec_main_status = 3;
    EXPECT_EQ(exit_of(s).code, 3);
    s.exec_main_code = CLD_DUMPED;
    s.exec_main_status = SIGSEGV;
    EXPECT_TRUE(exit_of(s).core);
    s.result = "oom-kill";
    EXPECT_TRUE(exit_of(s).oom);
}

} // namespace
} // namespace keepwell
