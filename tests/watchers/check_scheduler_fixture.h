// CheckScheduling: a check scheduler on fake ports in virtual time.
#pragma once

#include "tests/support/fake_ports.h"
#include "tests/support/virtual_time.h"
#include "watchers/check_scheduler.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keepwell::test {

using namespace std::chrono_literals;

inline CheckSpec http_spec(const std::string& id = "http") {
    CheckSpec check;
    check.id = id;
    HttpCheckSpec http;
    http.url = "http://127.0.0.1:5000/health";
    check.probe = http;
    return check;
}

inline UnitSpec unit_with(std::vector<CheckSpec> checks, const std::string& key = "web") {
    UnitSpec unit;
    unit.key = key;
    unit.checks = std::move(checks);
    return unit;
}

struct CheckScheduling : testing::Test {
    VirtualClock clock;
    FakeTimers timers{clock};
    FakeHttp http;
    FakeTcp tcp;
    FakeTasks tasks;
    FakeOffload offload;
    FakeDns dns;
    FakeLogs logs;
    AskSystemd ask_systemd; // before the first run of a check
    std::vector<std::string> no_results;
    std::vector<Observation> seen;
    std::function<void(const Observation&)> on_seen;
    std::unique_ptr<CheckScheduler> scheduler = std::make_unique<CheckScheduler>(
        CheckScheduler::Ports{
            clock, timers, http, tcp, tasks, offload, [](UnitIndex) { return TreeRef{}; }, dns,
            logs,
            [this](const SystemdCheckSpec& spec, auto answer) {
                if (ask_systemd) ask_systemd(spec, std::move(answer));
            },
            [this](UnitIndex, CheckIndex, const std::string& why) { no_results.push_back(why); }},
        [this](const Observation& o) {
            seen.push_back(o);
            if (on_seen) on_seen(seen.back());
        });

    void run_first() { // to the start of the first run of check 0 of unit 0
        while (http.started() == 0) ASSERT_TRUE(timers.step());
    }
    // Advances in steps of 10 ms, answers at once, gives the starts of all runs.
    std::vector<Duration> starts_within(Duration length, int status = 200) {
        std::vector<Duration> at;
        const Instant begin = clock.now();
        std::size_t before = http.started();
        while (clock.now() - begin < length) {
            timers.advance(10ms);
            for (; before < http.started(); ++before) at.push_back(clock.now() - begin);
            http.answer_all([&](const auto&) { return http_status(status); });
        }
        return at;
    }
};

} // namespace keepwell::test
