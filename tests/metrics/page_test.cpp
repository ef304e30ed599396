#include "supervisor/metrics/page.h"

#include "units/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

using namespace keepwell;
using namespace keepwell::metrics;
using testing::HasSubstr;
using testing::Not;

namespace {

struct Unit {
    UnitSpec spec;
    UnitRecord record;
    UnitTally tally;
    ProcessFigures figures;
};

struct PageTest : testing::Test {
    PageTest() { make("web"); }
    Unit& make(const std::string& key) {
        Unit& u = *units.emplace_back(std::make_unique<Unit>());
        u.spec.key = key;
        u.record = initial_record(u.spec, Instant{std::chrono::seconds(1)});
        return u;
    }
    std::string page() {
        in.units.clear();
        for (const auto& u : units) {
            u->record.checks.resize(u->spec.checks.size());
            u->tally.align(u->spec);
            in.units.push_back({&u->spec, &u->record, &u->tally, &u->figures, 10, 2});
        }
        in.version = "1.2.3";
        return write_page(in);
    }
    Unit& web() { return *units.front(); }
    std::vector<std::unique_ptr<Unit>> units;
    PageInput in;
};

TEST_F(PageTest, EveryMetricStandsTogetherAndHasHelpAndTypeOnce) {
    make("db");
    ApiCounters api;
    api.answered("GET", "api/status", 200, std::chrono::milliseconds(2));
    const HostMetrics host{12.5, 2, {0, 0, 0}, 100, 25, {{"/", 10, 6, 2}}, 1, 2, 3, 4};
    const SelfFigures self{1.5, 1'700'000'000.25, 4096, 8192, 9, std::nullopt};
    const Histogram lag(kLagBounds);
    in.api = &api;
    in.host = &host;
    in.self = &self;
    in.loop_lag = &lag;
    std::istringstream text(page());
    std::set<std::string> seen;
    std::string line, name;
    while (std::getline(text, line)) {
        if (line.starts_with("# HELP ")) {
            name = line.substr(7, line.find(' ', 7) - 7);
            EXPECT_TRUE(seen.insert(name).second) << name;
            EXPECT_EQ(line.back(), '.') << line;
        } else if (line.starts_with("# TYPE ")) {
            EXPECT_TRUE(line.starts_with("# TYPE " + name + " ")) << line;
        } else {
            EXPECT_TRUE(line.starts_with(name)) << line;
        }
    }
    EXPECT_GT(seen.size(), 30U);
    EXPECT_TRUE(seen.contains("process_resident_memory_bytes"));
    EXPECT_FALSE(seen.contains("process_max_fds")) << "it has no limit";
}

TEST_F(PageTest, AUnitInTrouble) {
    Unit& u = web();
    u.record.state = State::Backoff;
    u.record.health = Verdict::Down;
    u.record.desired = Desired::Running;
    u.record.current_delay = std::chrono::seconds(4);
    u.record.deadline(TimerKind::Retry) = Instant{std::chrono::seconds(9)};
    u.record.last_exit = ExitStatus{true, 0, 9, false, false};
    u.tally.exits[2] = 7;
    const std::string text = page();
    EXPECT_THAT(text, HasSubstr("keepwell_service_up{service=\"web\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_service_state{service=\"web\",state=\"backoff\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_service_state{service=\"web\",state=\"running\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_service_health{service=\"web\",health=\"down\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_services{health=\"down\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_service_desired_state{service=\"web\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_service_backoff_seconds{service=\"web\"} 4\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_service_last_exit_code{service=\"web\"} 137\n"));
    EXPECT_THAT(text,
                HasSubstr("keepwell_service_exits_total{service=\"web\",reason=\"signal\"} 7\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_log_bytes_total{service=\"web\"} 10\n"));
    EXPECT_THAT(text, Not(HasSubstr("keepwell_service_start_time_seconds")));
    EXPECT_THAT(text, Not(HasSubstr("keepwell_service_memory_bytes")));
}

TEST_F(PageTest, EachStateAndHealthHasTheWordThatStatusHas) {
    for (int i = 0; i < kStateCount; ++i) {
        web().record.state = static_cast<State>(i);
        const std::string word(to_string(web().record.state));
        EXPECT_THAT(page(), HasSubstr("keepwell_service_state{service=\"web\",state=\"" + word +
                                      "\"} 1\n"));
    }
    for (const Verdict v : {Verdict::Healthy, Verdict::Degraded, Verdict::Down, Verdict::Unknown}) {
        web().record.health = v;
        const std::string word(to_string(v));
        EXPECT_THAT(page(), HasSubstr("keepwell_service_health{service=\"web\",health=\"" + word +
                                      "\"} 1\n"));
    }
}

TEST_F(PageTest, ACheckTellsOnlyWhatItKnows) {
    CheckSpec http;
    http.id = "http";
    http.probe = HttpCheckSpec{};
    web().spec.checks = {http};
    const std::string before = page();
    EXPECT_THAT(before, Not(HasSubstr("keepwell_check_success")));
    EXPECT_THAT(before, Not(HasSubstr("keepwell_check_http_status_code")));
    EXPECT_THAT(before, HasSubstr("keepwell_checks_total{service=\"web\",check=\"http\","
                                  "result=\"fail\"} 0\n"));
    auto& tally = web().tally.checks[0];
    tally.last = CheckOutcome::Fail;
    tally.code = 503;
    tally.passed_at = WallTime{1'700'000'000'500};
    tally.cert_expires_at = WallTime{1'800'000'000'000};
    tally.results = {5, 0, 1};
    web().record.checks[0].ran = true;
    const std::string text = page();
    const std::string of = "{service=\"web\",check=\"http\"} ";
    EXPECT_THAT(text, HasSubstr("keepwell_check_success" + of + "0\n"));
    EXPECT_THAT(text, HasSubstr("keepwell_check_http_status_code" + of + "503\n"));
    EXPECT_THAT(text,
                HasSubstr("keepwell_check_last_success_timestamp_seconds" + of + "1700000000.5\n"));
    EXPECT_THAT(
        text, HasSubstr("keepwell_check_tls_cert_expiry_timestamp_seconds" + of + "1800000000\n"));
}

TEST_F(PageTest, NothingButNamesOfTheConfigurationIsALabel) {
    web().spec.process.command = {"/usr/bin/secret", "--password=hunter2"};
    web().record.pid = 424'242;
    web().record.main_alive = true;
    web().figures.pids = {424'242};
    const std::string text = page();
    EXPECT_THAT(text, Not(HasSubstr("hunter2")));
    EXPECT_THAT(text, Not(HasSubstr("424242")));
}

TEST_F(PageTest, AnExternalUnitIsUpUnlessItIsDown) {
    web().spec.kind = UnitKind::External;
    web().record.health = Verdict::Unknown;
    EXPECT_THAT(page(), HasSubstr("keepwell_service_up{service=\"web\"} 1\n"));
    web().record.health = Verdict::Down;
    EXPECT_THAT(page(), HasSubstr("keepwell_service_up{service=\"web\"} 0\n"));
}

} // namespace
