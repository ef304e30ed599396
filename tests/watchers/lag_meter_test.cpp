#include "supervisor/uv/lag_meter.h"

#include <gtest/gtest.h>

#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

struct LagMeterTest : testing::Test {
    // Runs the loop until the timer has fired; what a stall looks like from inside its callback.
    bool stalled(std::uint64_t timer_ms, Duration blocked) {
        uv::LagMeter meter(loop, clock);
        const Instant begin = clock.now();
        bool seen = false;
        uv::Timer blocker(loop, [&] { std::this_thread::sleep_for(blocked); });
        uv::Timer timer(loop, [&] {
            seen = meter.stalled_since(begin);
            loop.stop();
        });
        if (blocked > 0s) blocker.start(1);
        timer.start(timer_ms);
        loop.run();
        return seen;
    }
    uv::Loop loop;
    uv::MonotonicClock clock;
};

} // namespace

TEST_F(LagMeterTest, ALoopThatIsOnTimeIsNoStall) {
    EXPECT_FALSE(stalled(20, 0s));
    EXPECT_FALSE(stalled(700, 0s)) << "to wait for long is not to be late";
}

TEST_F(LagMeterTest, ALongWaitForADescriptorThatIsNewIsNoStall) {
    EXPECT_FALSE(stalled(700, 0s)) << "the first wait of a loop has new ones";
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    {
        uv::Poll poll(loop, ends[0], [](int, int) {});
        poll.start(UV_READABLE);
        EXPECT_FALSE(stalled(700, 0s));
    }
    close(ends[0]);
    close(ends[1]);
}

TEST_F(LagMeterTest, APauseInAWaitForADescriptorThatIsNewIs) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t self = getpid();
    const pid_t helper = fork();
    if (helper == 0) {
        // The length of the pause is the point; a parent that dies ends it.
        close(ends[1]);
        pollfd parent{ends[0], POLLIN, 0};
        poll(&parent, 1, 100);
        kill(self, SIGSTOP);
        poll(&parent, 1, 1600);
        kill(self, SIGCONT);
        _exit(0);
    }
    {
        uv::Poll poll(loop, ends[0], [](int, int) {});
        poll.start(UV_READABLE);
        EXPECT_TRUE(stalled(300, 0s));
    }
    waitpid(helper, nullptr, 0);
    close(ends[0]);
    close(ends[1]);
}

TEST_F(LagMeterTest, ALoopThatStoodStillIs) { EXPECT_TRUE(stalled(20, 700ms)); }

TEST_F(LagMeterTest, WhatBeganAfterwardsIsNotConcerned) {
    uv::LagMeter meter(loop, clock);
    uv::Timer blocker(loop, [] { std::this_thread::sleep_for(700ms); });
    std::optional<bool> seen;
    Instant began{};
    uv::Timer second(loop, [&] {
        seen = meter.stalled_since(began);
        loop.stop();
    });
    uv::Timer first(loop, [&] {
        began = clock.now() + 1ms;
        second.start(30);
    });
    blocker.start(1);
    first.start(20);
    loop.run();
    EXPECT_EQ(seen, false);
}
