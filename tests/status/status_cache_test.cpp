#include "supervisor/status/status_cache.h"
#include "tests/support/virtual_time.h"

#include <gtest/gtest.h>

#include <stdexcept>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

class StatusCaching : public testing::Test {
  protected:
    std::string render() {
        if (broken) throw std::runtime_error("no");
        news = false;
        return "document " + std::to_string(++renders);
    }
    VirtualClock clock;
    int renders = 0;
    bool news = false, broken = false;
    StatusCache cache{clock, {[this] { return render(); }, [this] { return news; }}, 30s};
};

TEST_F(StatusCaching, TheSameBytesGoToEverybodyWhileNothingChanges) {
    const StatusBytes first = cache.get();
    clock.jump(29s);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(cache.get().body, first.body) << "a copy";
        EXPECT_EQ(cache.get().etag, first.etag);
    }
    EXPECT_EQ(renders, 1);
}

TEST_F(StatusCaching, AStateThatChangedIsInTheNextAnswerHoweverSoon) {
    const std::string before = *cache.get().body;
    cache.changed();
    cache.changed();
    EXPECT_NE(*cache.get().body, before);
    EXPECT_EQ(renders, 2);
}

TEST_F(StatusCaching, OtherNewsWaitUntilTheBytesAreASecondOld) {
    (void)cache.get();
    for (int i = 0; i < 10; ++i) {
        news = true;
        clock.jump(99ms);
        (void)cache.get();
    }
    EXPECT_EQ(renders, 1);
    clock.jump(10ms);
    (void)cache.get();
    EXPECT_EQ(renders, 2);
}

TEST_F(StatusCaching, WithoutNewsTheBytesAreMadeOnceAnIntervalAsASignOfLife) {
    (void)cache.get();
    clock.jump(30s);
    (void)cache.get();
    (void)cache.get();
    EXPECT_EQ(renders, 2);
    cache.set_interval(2s);
    clock.jump(2s);
    (void)cache.get();
    EXPECT_EQ(renders, 3);
}

TEST_F(StatusCaching, OtherBytesHaveAnotherStrongTag) {
    const StatusBytes first = cache.get();
    cache.changed();
    const StatusBytes second = cache.get();
    EXPECT_NE(first.etag, second.etag);
    EXPECT_EQ(first.etag.front(), '"') << "a weak tag begins with W/";
    EXPECT_EQ(first.etag.back(), '"');
    EXPECT_EQ(first.etag.size(), 18U);
}

TEST_F(StatusCaching, WhoHoldsOldBytesKeepsThem) {
    const auto held = cache.get().body;
    cache.changed();
    (void)cache.get();
    EXPECT_EQ(*held, "document 1");
}

TEST_F(StatusCaching, TheFileAndTheAnswerAreOneDocument) {
    (void)cache.get();
    const auto written = cache.make();
    EXPECT_EQ(renders, 2) << "the file is always new";
    EXPECT_EQ(cache.get().body, written);
}

TEST_F(StatusCaching, BytesThatNobodyAsksForAreNotKept) {
    std::weak_ptr<const std::string> bytes = cache.make();
    EXPECT_TRUE(bytes.expired()) << "nobody ever asked";
    (void)cache.get();
    clock.jump(61s);
    bytes = cache.make();
    EXPECT_TRUE(bytes.expired()) << "nobody asks any more";
    EXPECT_EQ(*cache.get().body, "document 4");
}

TEST_F(StatusCaching, WhatCouldNotBeMadeIsTriedAgain) {
    (void)cache.get();
    cache.changed();
    broken = true;
    EXPECT_THROW((void)cache.get(), std::runtime_error);
    broken = false;
    EXPECT_EQ(*cache.get().body, "document 2");
}

} // namespace
