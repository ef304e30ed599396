// What answers of name servers, logs, systemd and health pages mean, and how their checks run.
#include "tests/watchers/check_scheduler_fixture.h"
#include "watchers/dns_check.h"
#include "watchers/health_page.h"
#include "watchers/log_check.h"
#include "watchers/systemd_check.h"

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

CheckSpec check_of(ProbeSpec probe) {
    CheckSpec check;
    check.id = std::string(type_name(probe));
    check.probe = std::move(probe);
    return check;
}

DnsResult dns_answer(std::vector<std::string> answers) {
    DnsResult r;
    r.answers = std::move(answers);
    return r;
}

Observation dns(const DnsCheckSpec& spec, const DnsResult& result) {
    return evaluate_dns(check_of(spec), spec, result);
}

} // namespace

TEST(DnsCheck, AnAnswerPassesAndItsLackFailsWithTheReason) {
    const DnsCheckSpec spec{"a.test", "", DnsRecord::A, ""};
    const Observation seen = dns(spec, dns_answer({"192.0.2.1", "192.0.2.2"}));
    EXPECT_EQ(seen.outcome, CheckOutcome::Pass);
    EXPECT_EQ(seen.output, "192.0.2.1, 192.0.2.2");
    DnsResult missing;
    missing.error = "no such name (NXDOMAIN)";
    EXPECT_EQ(dns(spec, missing).outcome, CheckOutcome::Fail);
    EXPECT_EQ(dns(spec, missing).output, "no such name (NXDOMAIN)");
    EXPECT_FALSE(dns(spec, missing).soft);
    DnsResult late;
    late.timed_out = true;
    EXPECT_EQ(dns(spec, late).output, "timed out after 5s");
    EXPECT_TRUE(dns(spec, late).soft);
}

TEST(DnsCheck, TheExpectedValueIsOneOfTheAnswers) {
    const auto outcome = [](DnsRecord record, const std::string& expect, const std::string& got) {
        return dns({"a.test", "", record, expect}, dns_answer({"other", got})).outcome;
    };
    EXPECT_EQ(outcome(DnsRecord::A, "192.0.2.1", "192.0.2.1"), CheckOutcome::Pass);
    EXPECT_EQ(outcome(DnsRecord::A, "192.0.2.1", "192.0.2.11"), CheckOutcome::Fail);
    EXPECT_EQ(outcome(DnsRecord::Cname, "A.Test.", "a.test"), CheckOutcome::Pass);
    EXPECT_EQ(outcome(DnsRecord::Mx, "mx.test", "10 mx.test"), CheckOutcome::Pass);
    EXPECT_EQ(outcome(DnsRecord::Mx, "10 mx.test", "10 mx.test"), CheckOutcome::Pass);
    EXPECT_EQ(outcome(DnsRecord::Mx, "x.test", "10 mx.test"), CheckOutcome::Fail);
    EXPECT_EQ(outcome(DnsRecord::Txt, "spf1", "v=spf1 -all"), CheckOutcome::Pass);
    EXPECT_EQ(outcome(DnsRecord::Ns, "spf1", "v=spf1 -all"), CheckOutcome::Fail);
    EXPECT_EQ(dns({"a.test", "", DnsRecord::A, "192.0.2.9"}, dns_answer({"192.0.2.1\x1b"})).output,
              "the answer is 192.0.2.1, expected 192.0.2.9");
}

TEST_F(CheckScheduling, ADnsCheckAsksAndReportsAndIsCancelled) {
    scheduler->start(3, unit_with({check_of(DnsCheckSpec{"a.test", "::1", DnsRecord::Mx, ""})}), 7);
    scheduler->run_now(3, std::nullopt);
    ASSERT_EQ(dns.open(), 1U);
    EXPECT_EQ(dns.last().name, "a.test");
    EXPECT_EQ(dns.last().server, "::1");
    EXPECT_EQ(dns.last().record, DnsRecord::Mx);
    EXPECT_EQ(dns.last().timeout, 5s);
    dns.answer(dns_answer({"10 mx.test"}));
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].generation, 7U);
    EXPECT_EQ(seen[0].outcome, CheckOutcome::Pass);
    scheduler->run_now(3, std::nullopt);
    scheduler->stop(3);
    EXPECT_EQ(dns.cancelled(), 1U);
}

// ---- systemd

TEST(SystemdCheck, TheStateIsOneOfThoseWanted) {
    const SystemdCheckSpec spec{"nginx.service", {"active", "reloading"}, "system"};
    EXPECT_EQ(evaluate_systemd(spec, "reloading").outcome, CheckOutcome::Pass);
    const Observation seen = evaluate_systemd(spec, "failed");
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen.output, "nginx.service is failed, expected active or reloading");
}

TEST_F(CheckScheduling, ALostBusGivesNoResult) {
    std::vector<std::function<void(const SystemdAnswer&)>> asked;
    ask_systemd = [&](const SystemdCheckSpec& spec, auto answer) {
        EXPECT_EQ(spec.unit, "nginx.service");
        asked.push_back(std::move(answer));
    };
    scheduler->start(0, unit_with({check_of(SystemdCheckSpec{"nginx.service"})}), 1);
    scheduler->run_now(0, std::nullopt);
    ASSERT_EQ(asked.size(), 1U);
    asked[0]({"", "the system bus is gone"});
    EXPECT_TRUE(seen.empty());
    EXPECT_EQ(no_results, std::vector<std::string>{"the system bus is gone"});
    for (int i = 0; i < 200 && asked.size() < 2; ++i) timers.advance(100ms);
    ASSERT_EQ(asked.size(), 2U) << "it is asked again";
    asked[0]({"failed", ""}); // late, of the run before
    EXPECT_TRUE(seen.empty());
    asked[1]({"failed", ""});
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].outcome, CheckOutcome::Fail);
    timers.advance(30s);
    EXPECT_EQ(seen.size(), 1U) << "no answer in time is no result either";
    EXPECT_GE(no_results.size(), 2U);
    const auto late = asked.back();
    scheduler.reset();
    late({"active", ""});
    EXPECT_EQ(seen.size(), 1U);
}

TEST_F(CheckScheduling, WithoutABusASystemdCheckSaysSo) {
    std::vector<std::string> whys;
    CheckScheduler without(
        {clock, timers, http, tcp, tasks, offload, [](UnitIndex) { return TreeRef{}; }, dns, logs,
         AskSystemd{}, [&](UnitIndex, CheckIndex, const std::string& why) { whys.push_back(why); }},
        [](const Observation&) { FAIL() << "a result"; });
    without.start(0, unit_with({check_of(SystemdCheckSpec{"nginx.service"})}), 1);
    without.run_now(0, std::nullopt);
    EXPECT_TRUE(whys.empty()) << "told from inside a call";
    timers.advance(10ms);
    EXPECT_EQ(whys, std::vector<std::string>{"no systemd bus here"});
}

// ---- log

namespace {

struct LogCheck : testing::Test {
    FakeLogs logs;
    LogMemory memory{logs.open({"web", "", ""}), Instant{1h}, Instant{1h}};
    Instant now{1h};
    WallTime wall{1'000'000};

    Observation look(const LogCheckSpec& spec, Duration later = 10s) {
        now += later;
        wall.ms += std::chrono::duration_cast<std::chrono::milliseconds>(later).count();
        return look_at_log(spec, memory, now, wall);
    }
};

} // namespace

TEST_F(LogCheck, ABadLineFailsOnceAndIsQuotedShort) {
    const LogCheckSpec spec{"FATAL", "", {}};
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass);
    logs.next.bad_lines = 3;
    logs.next.first_bad = "FATAL: " + std::string(300, 'x');
    const Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail);
    EXPECT_TRUE(seen.output.starts_with("\"FATAL: xxx"));
    EXPECT_TRUE(seen.output.ends_with("\" and 2 more like it")) << seen.output;
    EXPECT_LE(seen.output.size(), 200U + 23U);
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass) << "since the last run there was none";
}

TEST_F(LogCheck, TheLastGoodLineMustNotBeTooOldCountedFromTheStart) {
    const LogCheckSpec spec{"", "done", 1min};
    EXPECT_EQ(look(spec, 60s).outcome, CheckOutcome::Pass);
    EXPECT_EQ(look(spec, 1s).output, "no line matches \"done\" for 61s");
    logs.next.good = true;
    logs.next.good_at = WallTime{wall.ms - 1'000'000}; // a clock that was set: it came just now
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass);
    EXPECT_EQ(look(spec, 50s).outcome, CheckOutcome::Pass);
    EXPECT_EQ(look(spec, 1s).outcome, CheckOutcome::Fail) << "it came after the run before";
    logs.next.good = true;
    logs.next.good_at = WallTime{wall.ms + 2'000};
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass);
    EXPECT_EQ(look(spec, 52s).outcome, CheckOutcome::Pass);
    EXPECT_EQ(look(spec, 1s).outcome, CheckOutcome::Fail) << "8 s before it was read";
}

TEST_F(LogCheck, WhatWasSkippedOrCannotBeReadIsAWarning) {
    const LogCheckSpec spec{"FATAL", "done", 10s};
    logs.next.skipped_after = 8U << 20;
    Observation seen = look(spec, 20s);
    EXPECT_EQ(seen.outcome, CheckOutcome::Warn);
    EXPECT_EQ(seen.output, "more than 8M came since the last run; the rest was skipped");
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass) << "what was skipped may have been good";
    logs.next.error = "cannot read /x: Permission denied";
    seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Warn);
    EXPECT_EQ(seen.output, "cannot read /x: Permission denied");
}

TEST_F(CheckScheduling, ALogIsOpenedAtTheStartAndAgainWhenTheCheckIsEnabled) {
    scheduler->start(0, unit_with({check_of(LogCheckSpec{"FATAL", "done", 1min})}), 1);
    ASSERT_EQ(logs.opened.size(), 1U);
    EXPECT_EQ(logs.opened[0].key, "web");
    EXPECT_EQ(logs.opened[0].bad, "FATAL");
    EXPECT_EQ(logs.opened[0].good, "done");
    scheduler->run_now(0, std::nullopt);
    ASSERT_EQ(offload.jobs.size(), 1U);
    EXPECT_EQ(offload.jobs[0].lane, Offload::Lane::Disk);
    logs.next.bad_lines = 1;
    logs.next.first_bad = "FATAL";
    offload.finish();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].output, "\"FATAL\"");
    scheduler->set_enabled(0, 0, false);
    scheduler->set_enabled(0, 0, true);
    EXPECT_EQ(logs.opened.size(), 2U) << "what came meanwhile does not count";
}

TEST_F(CheckScheduling, AHostCheckKeepsToTheLaneOfWhatItAsks) {
    HostCheckSpec memory;
    memory.memory = 100;
    HostCheckSpec disk;
    disk.disk = {{"/", 100, std::nullopt}};
    CheckSpec second = check_of(disk);
    second.id = "disk";
    scheduler->start(0, unit_with({check_of(memory), second}), 1);
    scheduler->run_now(0, std::nullopt);
    ASSERT_EQ(offload.jobs.size(), 2U);
    EXPECT_EQ(offload.jobs[0].lane, Offload::Lane::Proc);
    EXPECT_EQ(offload.jobs[1].lane, Offload::Lane::Disk);
    offload.finish();
    offload.finish();
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[0].outcome, CheckOutcome::Pass) << seen[0].output;
    EXPECT_EQ(seen[1].outcome, CheckOutcome::Pass) << seen[1].output;
}

// ---- health pages

TEST(HealthPage, KeepsWhatAServiceSaysOfItself) {
    const Reported r =
        reported_of(R"( {"status":"healthy","uptime":3600.5,"workflows":["a",{"x":1},2],
        "version":"3.1.1","project":"Chat\u001bStack","secret":"no","deep":{"status":"wrong"}})");
    EXPECT_EQ(r.json, R"({"status":"healthy","project":"ChatStack","version":"3.1.1",)"
                      R"("uptime":3600.5,"workflows":["a",2]})");
    EXPECT_EQ(r.uptime_s, 3600.5);
}

TEST(HealthPage, WhatIsNoHealthPageSaysNothing) {
    for (const char* body : {"", "ok", "[1]", "{\"status\":", "{}", "{\"other\":1}", "\"status\"",
                             "{\"status\":{\"a\":1}}", "\xff{\"status\":1}"})
        EXPECT_EQ(reported_of(body), Reported{}) << body;
    const std::string deep = "{\"status\":" + std::string(100'000, '[') + "}";
    EXPECT_EQ(reported_of(deep), Reported{});
    const std::string closed =
        "{\"status\":" + std::string(50'000, '[') + std::string(50'000, ']') + ",\"version\":1}";
    EXPECT_EQ(reported_of(closed).json, "{\"status\":[],\"version\":1}");
}

TEST(HealthPage, IsBoundedAndNeverANegativeUptime) {
    std::string many = "{\"uptime\":-5,\"version\":\"" + std::string(1000, 'v') +
                       "\",\"workflows\":[\"" + std::string(300, 'w') + '"';
    for (int i = 0; i < 100; ++i) many += ",\"" + std::string(300, 'w') + '"';
    const Reported r = reported_of(many + "]}");
    EXPECT_LE(r.json.size(), kLongestReport);
    EXPECT_TRUE(r.json.starts_with("{\"version\":\"vvv")) << r.json;
    EXPECT_FALSE(r.uptime_s);
}
