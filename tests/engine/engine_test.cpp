#include "supervisor/engine/engine.h"

#include "tests/support/virtual_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

using namespace keepwell;
using namespace keepwell::test;

namespace {

// Answers every spawn at once and every stop with a clean end: the smallest world in which units
// live.
struct World : testing::Test, EngineListener {
    VirtualClock clock;
    FakeTimers timers{clock};
    Engine engine{clock, timers, *this, [] { return 0.5; }};
    std::vector<std::string> spawned, stopped, erased;
    bool answer = true;
    std::string throws_in_step, throws_in_effect; // keys
    std::vector<std::string> thrown;
    int depth = 0, deepest = 0;

    UnitIndex add(const char* key, std::vector<std::string> needs = {},
                  std::vector<std::string> after = {}) {
        UnitSpec s;
        s.key = key;
        s.requires_units = std::move(needs);
        s.after = std::move(after);
        UnitRecord r = initial_record(s, clock.now());
        return engine.add(std::move(s), std::move(r));
    }
    void on_step(const StepInfo& info) override {
        if (info.spec.key == throws_in_step) throw std::runtime_error("on_step");
        deepest = std::max(deepest, ++depth);
        --depth;
    }
    void on_effect(UnitIndex i, const Effect& e) override {
        if (engine.key_of(i) == throws_in_effect) throw std::bad_alloc();
        if (const auto* s = std::get_if<effect::Spawn>(&e)) {
            spawned.push_back(engine.key_of(i));
            if (answer) engine.post(i, event::Spawned{s->generation, 100 + i});
        }
        if (const auto* t = std::get_if<effect::Terminate>(&e)) {
            stopped.push_back(engine.key_of(i));
            if (engine.record(i).main_alive)
                engine.post(i, event::Exited{t->generation, ExitStatus{true, 0, 15, false, false}});
            engine.post(i, event::TreeEmpty{t->generation});
        }
    }
    void on_erased(UnitIndex, const std::string& key) override { erased.push_back(key); }
    void on_thrown(const std::string& key, const char* what) noexcept override {
        thrown.push_back(key + ": " + what);
    }
    void start(UnitIndex i) { engine.post(i, event::Start{}); }
    void die(UnitIndex i) {
        engine.post(
            i, event::Exited{engine.record(i).generation, ExitStatus{true, 1, 0, false, false}});
    }
};

} // namespace

TEST_F(World, ARequiredUnitIsReadyBeforeItsDependentStarts) {
    const auto web = add("web", {"db"});
    const auto db = add("db");
    engine.link();
    start(web);
    EXPECT_EQ(engine.record(web).state, State::Waiting);
    start(db);
    EXPECT_EQ(spawned, std::vector<std::string>{"db"});
    timers.advance(1s); // alive for a second = ready
    EXPECT_EQ(spawned, (std::vector<std::string>{"db", "web"}));
    timers.advance(1s);
    EXPECT_EQ(engine.record(web).state, State::Running);
}

TEST_F(World, AfterWaitsForAStartUnderWayAndForNothingElse) {
    const auto web = add("web", {}, {"db"});
    const auto db = add("db");
    engine.link();
    start(web); // db does not want to run: nothing to wait for
    EXPECT_EQ(spawned, std::vector<std::string>{"web"});
    engine.post(web, event::Stop{});
    start(db);
    start(web);
    EXPECT_EQ(engine.record(web).state, State::Waiting);
    timers.advance(1s);
    EXPECT_EQ(engine.record(web).state, State::Starting);
}

TEST_F(World, ARunningDependentStaysUpAndIsBlockedWhileItsUnitIsDown) {
    const auto web = add("web", {"db"});
    const auto db = add("db");
    engine.link();
    start(db);
    start(web);
    timers.advance(3s);
    answer = false;
    die(db);
    EXPECT_EQ(engine.record(web).state, State::Running);
    EXPECT_EQ(engine.record(web).blocked_by, db);
    die(web);
    EXPECT_EQ(engine.record(web).state, State::Waiting);
}

TEST_F(World, ADependentComesBackWithItsUnit) {
    const auto web = add("web", {"db"});
    const auto db = add("db");
    engine.link();
    start(db);
    start(web);
    timers.advance(3s);
    die(db);
    die(web);
    EXPECT_EQ(engine.record(web).state, State::Waiting);
    timers.advance(5s);
    EXPECT_EQ(engine.record(db).state, State::Running);
    EXPECT_EQ(engine.record(web).state, State::Running);
    EXPECT_EQ(engine.record(web).blocked_by, std::nullopt);
}

TEST_F(World, PostingFromAListenerDoesNotRecurse) {
    const auto web = add("web");
    engine.link();
    start(web);
    timers.advance(2s);
    EXPECT_EQ(deepest, 1);
}

TEST_F(World, WhatIsThrownForOneUnitHarmsNoOther) {
    const auto web = add("web");
    const auto db = add("db");
    engine.link();
    throws_in_step = "web";
    start(web);
    start(db);
    timers.advance(2s);
    EXPECT_EQ(engine.record(db).state, State::Running);
    EXPECT_EQ(engine.record(web).state, State::Running) << "its effects come all the same";
    ASSERT_FALSE(thrown.empty());
    EXPECT_EQ(thrown[0], "web: on_step");
}

TEST_F(World, AStartThatThrowsIsAStartThatFailedAndIsTriedAgain) {
    const auto web = add("web");
    engine.link();
    throws_in_effect = "web";
    start(web);
    EXPECT_EQ(spawned.size(), 0U);
    EXPECT_THAT(thrown, testing::Contains("web: std::bad_alloc"));
    throws_in_effect.clear();
    timers.advance(10min);
    EXPECT_EQ(engine.record(web).state, State::Running);
    die(web);
    timers.advance(1min);
    EXPECT_EQ(engine.record(web).state, State::Running) << "a later failure is healed as ever";
}

TEST_F(World, ARetiredUnitIsStoppedThenForgotten) {
    const auto web = add("web");
    engine.link();
    start(web);
    timers.advance(2s);
    engine.retire(web);
    EXPECT_EQ(stopped, std::vector<std::string>{"web"});
    EXPECT_EQ(erased, std::vector<std::string>{"web"});
    EXPECT_FALSE(engine.find("web"));
    EXPECT_TRUE(timers.armed() == 0U) << "a timer of a unit that is gone";
}

TEST_F(World, AReplacedSpecKeepsTheCountersOfChecksThatStay) {
    UnitSpec s;
    s.key = "web";
    CheckSpec http, tcp;
    http.id = "http";
    tcp.id = "tcp";
    s.checks = {http, tcp};
    UnitRecord r = initial_record(s, clock.now());
    r.checks[1].failures = 2;
    const auto web = engine.add(s, r);
    s.checks = {tcp};
    engine.replace(web, s);
    ASSERT_EQ(engine.record(web).checks.size(), 1U);
    EXPECT_EQ(engine.record(web).checks[0].failures, 2U);
}
