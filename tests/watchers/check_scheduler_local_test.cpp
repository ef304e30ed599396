// Checks that run off the loop, and what is remembered of certificates: promises of the scheduler.
#include "tests/watchers/check_scheduler_fixture.h"

#include <optional>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

CheckSpec file_spec(const std::string& path = "/") {
    CheckSpec check;
    check.id = "file";
    check.timeout = 1s;
    FileCheckSpec file;
    file.path = path;
    check.probe = file;
    return check;
}

} // namespace

TEST_F(CheckScheduling, LocalChecksRunOffTheLoopAndReport) {
    scheduler->start(0, unit_with({file_spec()}), 1);
    while (offload.jobs.empty()) timers.advance(10ms);
    ASSERT_EQ(offload.jobs.size(), 1U);
    EXPECT_EQ(offload.jobs[0].lane, Offload::Lane::Disk);
    EXPECT_TRUE(seen.empty());
    timers.advance(300ms);
    offload.finish();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].outcome, CheckOutcome::Pass);
    EXPECT_GE(seen[0].took, 300ms);
}

TEST_F(CheckScheduling, AnAnswerAfterTheDeadlineIsNone) {
    scheduler->start(0, unit_with({file_spec()}), 1);
    while (offload.jobs.empty()) timers.advance(10ms);
    timers.advance(1500ms);
    offload.finish();
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen[0].output, "timed out after 1s");
}

TEST_F(CheckScheduling, WorkThatFoundNoThreadSaysNothing) {
    scheduler->start(0, unit_with({file_spec()}), 1);
    timers.advance(10s);
    EXPECT_TRUE(seen.empty()) << "a busy lane is no failure of the unit";
    EXPECT_FALSE(no_results.empty());
    EXPECT_EQ(no_results.front(), "no answer in time") << "who waits for it is told";
    EXPECT_GE(offload.cancelled, 1U);
    for (int i = 0; i < 300 && offload.jobs.empty(); ++i) timers.advance(100ms);
    ASSERT_FALSE(offload.jobs.empty()) << "it is tried again";
    offload.finish();
    EXPECT_EQ(seen.size(), 1U);
}

TEST_F(CheckScheduling, WorkThatHangsFailsAtTheDeadlineAndGetsNoSecondThread) {
    scheduler->start(0, unit_with({file_spec()}), 1);
    timers.advance(1s);
    ASSERT_EQ(offload.jobs.size(), 1U);
    offload.jobs[0].begun = true;
    // What the pool's thread does first.
    const auto work = offload.jobs[0].work;
    offload.jobs[0].work = [] {};
    timers.advance(4s);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen[0].output, "timed out after 1s");
    EXPECT_TRUE(seen[0].soft);
}

// libcurl tells the end of a certificate for new connections only.
TEST_F(CheckScheduling, TheCertificateIsRememberedAndLookedAtAgainOnceAnHour) {
    CheckSpec check = http_spec();
    HttpCheckSpec https;
    https.url = "https://shop.example/";
    https.tls.expires_within = 24h * 14;
    check.probe = https;
    scheduler->start(0, unit_with({check}), 1);
    const auto answer = [&](std::optional<Duration> left) {
        while (http.open() == 0) timers.advance(1s);
        HttpResult r = http_status(200);
        if (left)
            r.cert_expires_at =
                WallTime{clock.wall().ms +
                         std::chrono::duration_cast<std::chrono::milliseconds>(*left).count()};
        http.answer(r);
        return seen.back();
    };
    EXPECT_EQ(answer(24h * 9 + 1h).outcome, CheckOutcome::Warn);
    EXPECT_TRUE(http.last().fresh_connection);
    const Observation again = answer(std::nullopt);
    EXPECT_FALSE(http.last().fresh_connection);
    EXPECT_EQ(again.outcome, CheckOutcome::Warn) << "what was seen is remembered";
    EXPECT_TRUE(again.output.starts_with("certificate expires in 9d")) << again.output;
    const Instant begin = clock.now();
    while (!http.last().fresh_connection) answer(std::nullopt);
    EXPECT_GE(clock.now() - begin, 59min);
    EXPECT_LE(clock.now() - begin, 61min);
    EXPECT_EQ(answer(24h * 90).outcome, CheckOutcome::Pass) << "renewed";
}
