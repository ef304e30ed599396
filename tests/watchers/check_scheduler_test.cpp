// Promises of the check scheduler, in virtual time.
#include "watchers/check_scheduler.h"

#include "tests/watchers/check_scheduler_fixture.h"
#include "watchers/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

TEST_F(CheckScheduling, FirstRunComesWithinOneSecondOfStart) {
    std::vector<CheckSpec> checks;
    for (int i = 0; i < 200; ++i) checks.push_back(http_spec("c" + std::to_string(i)));
    scheduler->start(0, unit_with(checks), 1);
    EXPECT_EQ(http.started(), 0U) << "not from inside start()";
    timers.advance(500ms);
    EXPECT_GT(http.started(), 60U) << "spread over the second";
    EXPECT_LT(http.started(), 140U);
    timers.advance(500ms);
    EXPECT_EQ(http.started(), 200U);
}

TEST_F(CheckScheduling, LaterRunsAreExactlyOneIntervalApart) {
    scheduler->start(0, unit_with({http_spec()}), 1);
    const auto at = starts_within(65s);
    ASSERT_GE(at.size(), 6U);
    const auto first_gap = at[1] - at[0];
    EXPECT_GE(first_gap, 2490ms);
    EXPECT_LE(first_gap, 12510ms);
    for (std::size_t i = 2; i < at.size(); ++i) EXPECT_EQ(at[i] - at[i - 1], 10s);
}

TEST_F(CheckScheduling, PhaseIsStableAcrossRestartsOfTheUnit) {
    scheduler->start(0, unit_with({http_spec()}), 1);
    starts_within(30s);
    const auto phase = scheduler->next_run(0, 0)->time_since_epoch() % 10s;
    clock.jump(3333ms);
    scheduler->start(0, unit_with({http_spec()}), 2);
    starts_within(30s);
    EXPECT_EQ(scheduler->next_run(0, 0)->time_since_epoch() % 10s, phase);
}

TEST_F(CheckScheduling, LaterRunsOfManyUnitsAreSpreadOverTheInterval) {
    for (UnitIndex u = 0; u < 1000; ++u)
        scheduler->start(u, unit_with({http_spec()}, "unit-" + std::to_string(u)), 1);
    starts_within(30s);
    std::vector<int> per_second(10);
    for (UnitIndex u = 0; u < 1000; ++u)
        ++per_second[static_cast<std::size_t>(
            std::chrono::floor<std::chrono::seconds>(scheduler->next_run(u, 0)->time_since_epoch())
                .count() %
            10)];
    for (const int n : per_second) {
        EXPECT_GT(n, 60);
        EXPECT_LT(n, 140);
    }
}

TEST_F(CheckScheduling, ResultIsReportedWithUnitGenerationAndCheck) {
    scheduler->start(7, unit_with({http_spec("a"), http_spec("b")}), 42);
    timers.advance(1s);
    http.answer_all([](const auto&) { return http_status(503, {}, 12ms); });
    ASSERT_EQ(seen.size(), 2U);
    std::set<CheckIndex> checks;
    for (const auto& o : seen) {
        EXPECT_EQ(o.unit, 7U);
        EXPECT_EQ(o.generation, 42U);
        EXPECT_EQ(o.output, "http 503");
        EXPECT_EQ(o.code, 503);
        EXPECT_EQ(o.took, Duration(12ms));
        checks.insert(o.check);
    }
    EXPECT_THAT(checks, testing::ElementsAre(0, 1));
}

TEST_F(CheckScheduling, PendingFailureIsRetriedAfterRetryInterval) {
    on_seen = [this](const Observation& o) { scheduler->set_pending(o.unit, o.check, true); };
    scheduler->start(0, unit_with({http_spec()}), 1);
    run_first();
    timers.advance(1500ms);
    http.answer(http_status(503));
    timers.advance(1999ms);
    EXPECT_EQ(http.started(), 1U);
    timers.advance(1ms);
    EXPECT_EQ(http.started(), 2U) << "2 s after the result";
    http.answer(http_status(503));
    timers.advance(2s);
    EXPECT_EQ(http.started(), 3U) << "as long as the verdict is out";
}

TEST_F(CheckScheduling, AfterTheVerdictTheChecksGoBackToTheInterval) {
    on_seen = [this](const Observation& o) {
        scheduler->set_pending(o.unit, o.check, seen.size() < 3);
    };
    scheduler->start(0, unit_with({http_spec()}), 1);
    const auto at = starts_within(60s, 503);
    ASSERT_GE(at.size(), 6U);
    EXPECT_LE(at[1] - at[0], 2010ms);
    EXPECT_LE(at[2] - at[1], 2010ms);
    EXPECT_GE(at[3] - at[2], 2490ms);
    EXPECT_EQ(at[5] - at[4], 10s);
}

TEST_F(CheckScheduling, CheckNeverOverlapsItself) {
    auto spec = http_spec();
    spec.interval = 1s;
    spec.timeout = 5s;
    scheduler->start(0, unit_with({spec}), 1);
    run_first();
    timers.advance(4s);
    scheduler->run_now(0, std::nullopt);
    EXPECT_EQ(http.started(), 1U);
    EXPECT_EQ(http.open(), 1U);
    http.answer(http_status(200));
    timers.advance(1s);
    EXPECT_EQ(http.started(), 2U) << "and goes on afterwards";
}

TEST_F(CheckScheduling, PortThatNeverAnswersIsATimeout) {
    scheduler->start(0, unit_with({http_spec()}), 1);
    run_first();
    timers.advance(7s); // timeout and grace
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].output, "timed out after 5s");
    EXPECT_TRUE(seen[0].soft);
    EXPECT_EQ(seen[0].took, Duration(5s)) << "a stall must stay tellable from a timeout";
    EXPECT_EQ(http.cancelled(), 1U);
    timers.advance(15s);
    EXPECT_GE(http.started(), 2U) << "and goes on afterwards";
}

TEST_F(CheckScheduling, NothingIsCalledAfterStop) {
    scheduler->start(0, unit_with({http_spec("a"), http_spec("b")}), 1);
    timers.advance(1s);
    EXPECT_EQ(http.open(), 2U);
    scheduler->stop(0);
    EXPECT_EQ(http.open(), 0U) << "requests under way are cancelled";
    EXPECT_EQ(timers.armed(), 0U);
    timers.advance(60s);
    EXPECT_TRUE(seen.empty());
    EXPECT_EQ(http.started(), 2U);
    EXPECT_FALSE(scheduler->next_run(0, 0));
}

namespace {
// A port that calls back although it was told not to.
struct StubbornHttp final : HttpClient {
    std::vector<std::function<void(HttpResult)>> callbacks;
    RequestId start(const HttpRequest&, std::function<void(HttpResult)> done) override {
        callbacks.push_back(std::move(done));
        return callbacks.size();
    }
    void cancel(RequestId) noexcept override {}
};
} // namespace

TEST_F(CheckScheduling, ResultOfAnOlderGenerationIsDropped) {
    StubbornHttp stubborn;
    std::vector<Observation> got;
    CheckScheduler other({clock, timers, stubborn, tcp, tasks, offload,
                          [](UnitIndex) { return TreeRef{}; }, dns, logs},
                         [&](Observation o) { got.push_back(std::move(o)); });
    other.start(0, unit_with({http_spec()}), 1);
    timers.advance(1s);
    other.start(0, unit_with({http_spec()}), 2);
    timers.advance(1s);
    ASSERT_EQ(stubborn.callbacks.size(), 2U);
    stubborn.callbacks[0](http_status(503));
    EXPECT_TRUE(got.empty());
    stubborn.callbacks[1](http_status(200));
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].generation, 2U);
    other.stop(0);
    stubborn.callbacks[1](http_status(200));
    EXPECT_EQ(got.size(), 1U);
}

TEST_F(CheckScheduling, SuspendGivesOneRunAndNoCatchUp) {
    scheduler->start(0, unit_with({http_spec()}), 1);
    starts_within(30s);
    const auto before = http.started();
    clock.jump(1h);
    timers.advance(1s);
    EXPECT_EQ(http.started(), before + 1);
    http.answer(http_status(200));
    timers.advance(2s);
    EXPECT_EQ(http.started(), before + 1);
    timers.advance(11s);
    EXPECT_EQ(http.started(), before + 2);
}

TEST_F(CheckScheduling, AfterASuspendTheRunsOfManyChecksAreSpread) {
    for (UnitIndex u = 0; u < 1000; ++u)
        scheduler->start(u, unit_with({http_spec()}, "unit-" + std::to_string(u)), 1);
    starts_within(30s);
    const auto before = http.started();
    clock.jump(1h);
    timers.advance(0s);
    EXPECT_LT(http.started() - before, 50U);
    timers.advance(1s);
    EXPECT_EQ(http.started() - before, 1000U);
}

TEST_F(CheckScheduling, RunNowRunsAtOnceAndMovesTheGridByNothing) {
    scheduler->start(0, unit_with({http_spec()}), 1);
    starts_within(30s);
    const auto phase = scheduler->next_run(0, 0)->time_since_epoch() % 10s;
    const auto before = http.started();
    scheduler->run_now(0, CheckIndex{0});
    EXPECT_EQ(http.started(), before + 1);
    http.answer(http_status(200));
    EXPECT_EQ(scheduler->next_run(0, 0)->time_since_epoch() % 10s, phase);
    EXPECT_EQ(timers.armed(), 1U);
}

TEST_F(CheckScheduling, DisabledCheckRunsOnlyWhenNamed) {
    auto off = http_spec("off");
    off.enabled = false;
    scheduler->start(0, unit_with({off}), 1);
    timers.advance(60s);
    scheduler->run_now(0, std::nullopt);
    EXPECT_EQ(http.started(), 0U);
    scheduler->run_now(0, CheckIndex{0});
    EXPECT_EQ(http.started(), 1U);
    http.answer(http_status(200));
    EXPECT_EQ(seen.size(), 1U);
    EXPECT_EQ(timers.armed(), 0U) << "once";
}

TEST_F(CheckScheduling, DisablingCancelsAndEnablingRunsWithinASecond) {
    scheduler->start(0, unit_with({http_spec()}), 1);
    run_first();
    scheduler->set_enabled(0, 0, false);
    EXPECT_EQ(http.open(), 0U);
    EXPECT_EQ(timers.armed(), 0U);
    EXPECT_FALSE(scheduler->next_run(0, 0));
    timers.advance(60s);
    scheduler->set_enabled(0, 0, true);
    timers.advance(1s);
    EXPECT_EQ(http.started(), 2U);
    EXPECT_TRUE(seen.empty());
}

TEST_F(CheckScheduling, SinkMayStopStartAndRunFromInside) {
    const auto spec = unit_with({http_spec()});
    scheduler->start(0, spec, 1);
    on_seen = [&](const Observation& o) {
        if (o.generation == 1) scheduler->start(0, spec, 2);
        if (o.generation == 2) {
            scheduler->run_now(0, std::nullopt);
            scheduler->stop(0);
        }
    };
    timers.advance(1s);
    http.answer(http_status(200));
    timers.advance(1s);
    http.answer(http_status(200));
    EXPECT_EQ(seen.size(), 2U);
    EXPECT_EQ(timers.armed(), 0U);
    EXPECT_EQ(http.open(), 0U);
}

TEST_F(CheckScheduling, SinkMayDestroyTheScheduler) {
    scheduler->start(0, unit_with({http_spec("a"), http_spec("b")}), 1);
    on_seen = [&](const Observation&) { scheduler.reset(); };
    timers.advance(1s);
    http.answer(http_status(200));
    EXPECT_EQ(http.open(), 0U);
    EXPECT_EQ(timers.armed(), 0U);
}

TEST_F(CheckScheduling, EachKindGoesToItsPort) {
    auto t = http_spec("port");
    TcpCheckSpec tcp_check;
    tcp_check.port = 5432;
    t.probe = tcp_check;
    auto e = http_spec("disk");
    ExecCheckSpec exec;
    exec.command = {"/bin/true"};
    e.probe = exec;
    scheduler->start(0, unit_with({t, e}), 1);
    timers.advance(1s);
    ASSERT_EQ(tcp.started(), 1U);
    EXPECT_EQ(tcp.last().port, 5432);
    EXPECT_EQ(tcp.last().timeout, Duration(5s));
    ASSERT_EQ(tasks.started(), 1U);
    EXPECT_EQ(tasks.last().label, "web/check:disk");
    EXPECT_THAT(tasks.last().process.command, testing::ElementsAre("/bin/true"));
    scheduler->stop(0);
    EXPECT_EQ(tcp.cancelled() + tasks.cancelled(), 2U);
}

namespace {
CheckSpec heartbeat_spec(Duration within) {
    CheckSpec check;
    check.id = "beat";
    check.probe = HeartbeatCheckSpec{within};
    check.interval = 1s;
    check.retry_interval = 500ms;
    return check;
}
} // namespace

TEST_F(CheckScheduling, AHeartbeatIsSilentUntilTheFirstBeatOrItsEnd) {
    scheduler->start(0, unit_with({heartbeat_spec(10s)}), 1);
    timers.advance(10s);
    EXPECT_TRUE(seen.empty()) << "a start is no beat";
    EXPECT_FALSE(scheduler->has_answer(0, 0));
    scheduler->run_now(0, std::nullopt);
    timers.advance(10ms);
    EXPECT_TRUE(seen.empty());
    timers.advance(1500ms);
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen.back().output.substr(0, 12), "no beat for ");
    EXPECT_TRUE(scheduler->has_answer(0, 0));
}

TEST_F(CheckScheduling, BeatsPassAndTheirEndFails) {
    scheduler->start(0, unit_with({heartbeat_spec(2s)}), 1);
    EXPECT_TRUE(scheduler->beat(0));
    EXPECT_TRUE(seen.empty()) << "not from inside the call";
    timers.advance(10ms);
    ASSERT_EQ(seen.size(), 1U) << "the first one is reported soon";
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Pass);
    for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(scheduler->beat(0));
        timers.advance(50ms);
    }
    EXPECT_LT(seen.size(), 14U) << "others at the interval";
    EXPECT_TRUE(std::ranges::all_of(
        seen, [](const Observation& o) { return o.outcome == CheckOutcome::Pass; }));
    timers.advance(3100ms);
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Fail);
    seen.clear();
    scheduler->beat(0);
    timers.advance(10ms);
    ASSERT_EQ(seen.size(), 1U) << "and so is the end of a failure";
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Pass);
}

TEST_F(CheckScheduling, TroubleFailsAtOnceAndUntilTheNextBeat) {
    scheduler->start(0, unit_with({heartbeat_spec(60s)}), 1);
    EXPECT_TRUE(scheduler->beat(0, true));
    timers.advance(10ms);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Fail);
    scheduler->beat(0, true);
    timers.advance(10ms);
    EXPECT_EQ(seen.size(), 1U) << "said again it is no news";
    timers.advance(5s);
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Fail);
    scheduler->beat(0);
    timers.advance(10ms);
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Pass);
}

TEST_F(CheckScheduling, ABeatThatWaitedWhileWeStoodStillCounts) {
    scheduler->start(0, unit_with({heartbeat_spec(2s)}), 1);
    scheduler->beat(0);
    timers.advance(100ms);
    seen.clear();
    clock.jump(2500ms); // the loop stood still; the run is due, the beat not read yet
    while (seen.empty() && timers.step()) scheduler->beat(0);
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back().outcome, CheckOutcome::Pass);
}

TEST_F(CheckScheduling, BeatsOfWhoHasNoSuchCheckAreRefused) {
    EXPECT_FALSE(scheduler->beat(0));
    scheduler->start(0, unit_with({http_spec(), heartbeat_spec(2s)}), 1);
    scheduler->set_enabled(0, 1, false);
    EXPECT_FALSE(scheduler->beat(0));
    scheduler->set_enabled(0, 1, true);
    EXPECT_TRUE(scheduler->beat(0));
    scheduler->stop(0);
    EXPECT_FALSE(scheduler->beat(0));
    EXPECT_EQ(timers.armed(), 0U);
}

TEST_F(CheckScheduling, CallsForUnknownUnitsAndChecksDoNothing) {
    scheduler->stop(9);
    scheduler->run_now(9, std::nullopt);
    scheduler->set_pending(9, 0, true);
    scheduler->set_enabled(9, 3, true);
    scheduler->start(0, unit_with({http_spec()}), 1);
    scheduler->run_now(0, CheckIndex{5});
    scheduler->set_pending(0, 5, true);
    EXPECT_FALSE(scheduler->next_run(0, 5));
    EXPECT_EQ(http.started(), 0U);
}

TEST_F(CheckScheduling, TenThousandChecksHaveOneTimerEach) {
    for (UnitIndex u = 0; u < 10'000; ++u)
        scheduler->start(u, unit_with({http_spec()}, "unit-" + std::to_string(u)), 1);
    EXPECT_EQ(timers.armed(), 10'000U);
    timers.advance(1s);
    EXPECT_EQ(http.open(), 10'000U);
    http.answer_all([](const auto&) { return http_status(200); });
    EXPECT_EQ(seen.size(), 10'000U);
    EXPECT_EQ(timers.armed(), 10'000U);
}
