#include "supervisor/metrics/tally.h"

#include "tests/support/virtual_time.h"

#include <gtest/gtest.h>

using namespace keepwell;
using namespace keepwell::test;
using metrics::kTriggers;
using metrics::UnitTally;

namespace {

constexpr ExitStatus kKilled{true, 0, 9, false, false};

// A unit whose starts the test answers.
struct World : testing::Test, EngineListener {
    VirtualClock clock;
    FakeTimers timers{clock};
    Engine engine{clock, timers, *this, [] { return 0.5; }};
    metrics::Tally tally;
    UnitIndex unit = 0;
    Generation asked = 0;

    void SetUp() override {
        UnitSpec s;
        s.key = "web";
        s.policy.backoff = {1s, 2.0, 8s, 0.0};
        s.policy.budget.restarts = 100;
        UnitRecord r = initial_record(s, clock.now());
        unit = engine.add(std::move(s), std::move(r));
    }
    void on_step(const StepInfo& info) override { tally.step(info); }
    void on_effect(UnitIndex i, const Effect& e) override {
        if (const auto* s = std::get_if<effect::Spawn>(&e)) asked = s->generation;
        if (const auto* t = std::get_if<effect::Terminate>(&e)) {
            engine.post(i, event::Exited{t->generation, {true, 0, 15, false, false}});
            engine.post(i, event::TreeEmpty{t->generation});
        }
    }
    void on_erased(UnitIndex i, const std::string&) override { tally.forget(i); }
    void on_thrown(const std::string&, const char* what) noexcept override {
        ADD_FAILURE() << what;
    }
    void spawned() {
        engine.post(unit, event::Spawned{asked, 100});
        timers.advance(2s);
    }
    void start() {
        engine.post(unit, event::Start{});
        spawned();
    }
    void die(ExitStatus how) {
        const Generation g = asked;
        engine.post(unit, event::Exited{g, how});
        engine.post(unit, event::TreeEmpty{g});
    }
    const UnitTally::Restarts& restarts(std::string_view trigger) {
        std::size_t i = 0;
        while (kTriggers.at(i) != trigger) ++i;
        return tally.of(unit).restarts[i];
    }
    std::uint64_t all_restarts() {
        std::uint64_t sum = 0;
        for (const auto& r : tally.of(unit).restarts) sum += r.success + r.failure;
        return sum;
    }
};

TEST_F(World, AnExitIsCountedByItsReasonAndOnce) {
    start();
    for (const ExitStatus how : {ExitStatus{true, 0, 0, false, false},
                                 {true, 3, 0, false, false},
                                 kKilled,
                                 {true, 0, 9, false, true},
                                 ExitStatus{}}) {
        die(how);
        timers.advance(10s);
        spawned();
    }
    const std::array<std::uint64_t, 5> one_each = {1, 1, 1, 1, 1};
    EXPECT_EQ(tally.of(unit).exits, one_each);
}

TEST_F(World, ARestartCountsWhenItIsKnownHowItWent) {
    start();
    ASSERT_EQ(engine.record(unit).state, State::Running);
    die(kKilled);
    EXPECT_EQ(engine.record(unit).restarts_total, 1U);
    EXPECT_EQ(all_restarts(), 0U);
    timers.advance(10s);
    EXPECT_EQ(all_restarts(), 0U) << "it is not running yet";
    spawned();
    EXPECT_EQ(restarts("exit").success, 1U);
    EXPECT_EQ(all_restarts(), engine.record(unit).restarts_total);
}

TEST_F(World, ARestartThatDidNotComeToRunIsAFailure) {
    start();
    die(kKilled);
    timers.advance(10s);
    engine.post(unit, event::SpawnFailed{asked, SpawnStage::Exec, 2, false});
    EXPECT_EQ(restarts("exit").failure, 1U);
    timers.advance(10s);
    spawned();
    EXPECT_EQ(restarts("start_failure").success, 1U);
    EXPECT_EQ(all_restarts(), engine.record(unit).restarts_total);
}

TEST_F(World, ARestartThatSomebodyStopsIsAFailureAndNothingIsLeftOpen) {
    start();
    die(kKilled);
    engine.post(unit, event::Stop{});
    EXPECT_EQ(engine.record(unit).state, State::Stopped);
    EXPECT_EQ(restarts("exit").failure, 1U);
    start();
    EXPECT_EQ(all_restarts(), 1U);
}

TEST_F(World, AnOperatorsRestartIsTheirs) {
    start();
    engine.post(unit, event::Restart{});
    spawned();
    EXPECT_EQ(restarts("operator").success, 1U);
    EXPECT_EQ(all_restarts(), engine.record(unit).restarts_total);
}

TEST_F(World, ARecoveryIsMeasuredFromTheFirstSignOfTrouble) {
    start();
    EXPECT_EQ(tally.of(unit).recovery.sum(), 0);
    die(kKilled);
    timers.advance(10s);
    spawned();
    const auto& recovery = tally.of(unit).recovery;
    EXPECT_GE(recovery.sum(), 10);
    EXPECT_LE(recovery.sum(), 12);
    EXPECT_EQ(recovery.in_bucket(2), 1U) << "5 to 15 seconds";
}

TEST_F(World, TheTallyOfACheckFollowsItsIdOverAReload) {
    UnitSpec spec;
    spec.key = "web";
    spec.checks = {CheckSpec{}, CheckSpec{}};
    spec.checks[0].id = "http";
    spec.checks[1].id = "tcp";
    Observation o;
    o.unit = unit;
    o.check = 1;
    o.outcome = CheckOutcome::Fail;
    o.took = 30ms;
    tally.observe(spec, o, WallTime{5});
    std::swap(spec.checks[0], spec.checks[1]);
    spec.checks[1].id = "new";
    o.check = 0;
    o.outcome = CheckOutcome::Pass;
    tally.observe(spec, o, WallTime{6});
    const auto& checks = tally.of(unit).checks;
    ASSERT_EQ(checks.size(), 2U);
    EXPECT_EQ(checks[0].id, "tcp");
    EXPECT_EQ(checks[0].results, (std::array<std::uint64_t, 3>{1, 0, 1}));
    EXPECT_EQ(checks[0].passed_at.ms, 6);
    EXPECT_NEAR(checks[0].duration.sum(), 0.06, 1e-9);
    EXPECT_EQ(checks[1].id, "new");
    EXPECT_EQ(checks[1].results, (std::array<std::uint64_t, 3>{0, 0, 0}));
}

TEST_F(World, AStampDoesNotWaverWithTheWallClock) {
    start();
    UnitTally& u = tally.of(unit);
    u.stamp(engine.record(unit), clock);
    const WallTime began = u.started.wall;
    clock.wall_offset_ms += 3'600'000;
    clock.jump(5s);
    u.stamp(engine.record(unit), clock);
    EXPECT_EQ(u.started.wall, began);
}

} // namespace
