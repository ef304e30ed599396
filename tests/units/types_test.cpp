#include "units/types.h"

#include "units/event.h"
#include "units/unit_spec.h"

#include <gtest/gtest.h>

#include <csignal>
#include <set>

namespace keepwell {
namespace {

TEST(Types, WordsAreThoseOfTheStatusDocument) {
    EXPECT_EQ(to_string(UnitKind::PidFile), "pidfile");
    EXPECT_EQ(to_string(State::Cooldown), "cooldown");
    EXPECT_EQ(to_string(State::Unknown), "unknown");
    EXPECT_EQ(to_string(Desired::Running), "running");
    EXPECT_EQ(to_string(Verdict::Degraded), "degraded");
    EXPECT_EQ(to_string(CheckEffect::None), "none");
    EXPECT_EQ(to_string(CheckOutcome::Warn), "warn");
    EXPECT_EQ(to_string(SpawnStage::Directory), "chdir");
    EXPECT_EQ(to_string(SpawnStage::Uid), "setresuid");
    EXPECT_EQ(to_string(SpawnStage::PreStart), "pre_start");
}

TEST(Types, EveryStateHasItsOwnWord) {
    std::set<std::string_view> words;
    for (int i = 0; i < kStateCount; ++i) words.insert(to_string(static_cast<State>(i)));
    EXPECT_EQ(words.size(), static_cast<std::size_t>(kStateCount));
}

TEST(Types, AValueFromANewerVersionIsUnknownNotACrash) {
    EXPECT_EQ(to_string(static_cast<State>(99)), "unknown");
}

TEST(Types, ProbesAreNamedByTheirType) {
    EXPECT_EQ(type_name(HttpCheckSpec{}), "http");
    EXPECT_EQ(type_name(TcpCheckSpec{}), "tcp");
    EXPECT_EQ(type_name(ExecCheckSpec{}), "exec");
    EXPECT_EQ(type_name(HeartbeatCheckSpec{}), "heartbeat");
    EXPECT_EQ(type_name(DnsCheckSpec{}), "dns");
    EXPECT_EQ(type_name(LogCheckSpec{}), "log");
    EXPECT_EQ(type_name(SystemdCheckSpec{}), "systemd");
    EXPECT_EQ(type_name(HostCheckSpec{}), "host");
}

TEST(Types, ANotifySocketIsForThoseThatUseIt) {
    UnitSpec spec;
    EXPECT_FALSE(has_notify_socket(spec));
    spec.ready.kind = ReadyKind::Notify;
    EXPECT_TRUE(has_notify_socket(spec));
    EXPECT_EQ(heartbeat_within(spec), std::nullopt);
    spec.ready = {};
    for (const Duration within : {30s, 20s, 40s}) {
        CheckSpec check;
        check.probe = HeartbeatCheckSpec{within};
        spec.checks.push_back(check);
    }
    EXPECT_TRUE(has_notify_socket(spec));
    EXPECT_EQ(heartbeat_within(spec), Duration(20s));
    spec.kind = UnitKind::External;
    EXPECT_FALSE(has_notify_socket(spec)) << "nobody here starts it";
}

TEST(ExitStatusText, SaysHowTheProcessEnded) {
    EXPECT_EQ(describe(ExitStatus{true, 1, 0, false, false}), "exit 1");
    EXPECT_EQ(describe(ExitStatus{true, 0, SIGKILL, false, false}), "SIGKILL");
    EXPECT_EQ(describe(ExitStatus{true, 0, SIGSEGV, true, false}), "SIGSEGV (core dumped)");
    EXPECT_EQ(describe(ExitStatus{true, 0, SIGKILL, false, true}), "killed by the OOM killer");
}

TEST(ExitStatusText, NeverInventsAStatus) {
    EXPECT_EQ(describe(ExitStatus{}), "ended, status unknown");
}

TEST(Signals, AreReadWithAndWithoutPrefixAndAsNumbers) {
    EXPECT_EQ(parse_signal("TERM"), SIGTERM);
    EXPECT_EQ(parse_signal("SIGTERM"), SIGTERM);
    EXPECT_EQ(parse_signal("sigusr1"), SIGUSR1);
    EXPECT_EQ(parse_signal("15"), SIGTERM);
    EXPECT_EQ(parse_signal("64"), 64);
}

TEST(Signals, WhatIsNoSignalIsRefused) {
    for (const char* text : {"", "SIG", "TERMX", "0", "-1", "65", "15x", "99999999999"}) {
        EXPECT_EQ(parse_signal(text), std::nullopt) << text;
    }
}

TEST(Signals, NamesAndNumbersAgree) {
    for (int n = 1; n < 32; ++n) EXPECT_EQ(parse_signal(signal_name(n)), n) << signal_name(n);
    EXPECT_EQ(signal_name(99), "signal 99");
}

} // namespace
} // namespace keepwell
