// What a callback throws ends at the loop's edge: the same handle and all others go on.
#include "supervisor/uv/loop.h"

#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>
#include <unistd.h>

using namespace keepwell;
using namespace keepwell::test;

namespace {

struct LoopEdge : testing::Test {
    uv::Loop loop;
    uv::MonotonicClock clock;
    int calls = 0;

    void call_and_throw() {
        ++calls;
        throw std::runtime_error("a failpoint of the test");
    }
    bool called(int times) {
        return run_until(loop, [&] { return calls >= times; });
    }
};

TEST_F(LoopEdge, ATimerThatThrowsFiresAgain) {
    uv::Timer timer(loop, [&] { call_and_throw(); });
    timer.start(1, 1);
    EXPECT_TRUE(called(3));
}

TEST_F(LoopEdge, APollThatThrowsIsCalledForTheNextByte) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    uv::Poll poll(loop, ends[0], [&](int, int) {
        char byte = 0;
        (void)!read(ends[0], &byte, 1);
        call_and_throw();
    });
    poll.start(UV_READABLE);
    ASSERT_EQ(write(ends[1], "ab", 2), 2);
    EXPECT_TRUE(called(2));
    poll.stop();
    close(ends[0]);
    close(ends[1]);
}

TEST_F(LoopEdge, ASignalThatThrowsIsHeardAgain) {
    uv::Signal signal(loop, SIGUSR2, [&] { call_and_throw(); });
    kill(getpid(), SIGUSR2);
    ASSERT_TRUE(called(1));
    kill(getpid(), SIGUSR2);
    EXPECT_TRUE(called(2));
}

TEST_F(LoopEdge, APrepareThatThrowsStopsNoLoop) {
    uv::Prepare prepare(loop, [&] { call_and_throw(); });
    EXPECT_TRUE(called(3));
}

TEST_F(LoopEdge, WhatWasPostedBehindAThrowingCallStillComes) {
    uv::Async async(loop);
    bool came = false;
    async.post([&] { call_and_throw(); });
    async.post([&] { came = true; });
    EXPECT_TRUE(run_until(loop, [&] { return came; }));
    EXPECT_EQ(calls, 1);
}

TEST_F(LoopEdge, WorkThatThrowsInThePoolIsOver) {
    bool done = false;
    const auto first = uv::run_in_pool(
        loop, [] { throw std::runtime_error("a failpoint of the test"); }, [&] { done = true; });
    EXPECT_TRUE(run_until(loop, [&] { return done; }));
    const auto second = uv::run_in_pool(
        loop, [] {}, [&] { call_and_throw(); });
    EXPECT_TRUE(called(1));
}

TEST_F(LoopEdge, DeadlinesBehindAThrowingOneAreKept) {
    uv::LoopTimers timers(loop, clock);
    bool came = false;
    const Instant at = clock.now() + std::chrono::milliseconds(1);
    timers.arm(at, [&] { call_and_throw(); });
    timers.arm(at, [&] { came = true; });
    EXPECT_TRUE(run_until(loop, [&] { return came; }));
    EXPECT_EQ(calls, 1);
}

} // namespace
