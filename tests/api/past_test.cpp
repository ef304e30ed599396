// What the API says of the past: ranges, times, and answers that come from another thread.
#include "supervisor/api/moment.h"
#include "tests/api/api_support.h"

namespace keepwell::test {
namespace {

using api::parse_moment;

struct PastApi : ApiTest {};

TEST_F(PastApi, HistoryIsAskedForWithARange) {
    const Answer answer = get("/api/history/web?range=7d");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.document()["range"], "7d");
    EXPECT_EQ(get("/api/history/web").document()["range"], "24h");
}

TEST_F(PastApi, ABadRangeAndAnUnknownNameAreErrors) {
    const Answer bad = get("/api/history/web?range=2h");
    EXPECT_EQ(bad.status, 400);
    EXPECT_EQ(bad.document()["code"], "bad_request");
    const Answer unknown = get("/api/history/nobody?range=1h");
    EXPECT_EQ(unknown.status, 404);
    EXPECT_EQ(unknown.document()["code"], "unknown_service");
    EXPECT_EQ(post("/api/history/web").status, 405);
}

TEST_F(PastApi, WithoutAHistoryItIsUnavailable) {
    control.no_history = Error{"cannot read the history: it is switched off", ENODATA};
    for (const char* target : {"/api/history/web", "/api/events?since_time=1h"}) {
        const Answer answer = get(target);
        EXPECT_EQ(answer.status, 503) << target;
        EXPECT_EQ(answer.document()["code"], "no_history") << target;
    }
}

TEST_F(PastApi, WhoWaitsForTheDiskHoldsNobodyUp) {
    control.hold_history = true;
    RawClient slow(path);
    slow.send_later(get_text("/api/history/web?range=1h"));
    EXPECT_TRUE(until([&] { return slow.turn() || control.held_history; }));
    EXPECT_EQ(get("/api/health").status, 200);
    control.held_history();
    server->notify();
    EXPECT_TRUE(until([&] { return slow.turn(); }));
    const Answer answer = slow.take();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.document()["range"], "1h");
}

TEST_F(PastApi, EventsAreReadBackFromATime) {
    const json said =
        get("/api/events?since_time=2026-01-31T12:00:00.250Z&since=7&limit=5").document();
    EXPECT_EQ(said["ms"], 1'769'860'800'250);
    EXPECT_EQ(said["sequence"], 7);
    EXPECT_EQ(said["limit"], 5);
    EXPECT_EQ(get("/api/events?since_time=yesterday").status, 400);
    EXPECT_EQ(get("/api/events?since_time=1h&limit=x").status, 400);
    EXPECT_EQ(get("/api/events?since_time=1h&limit=999999").document()["limit"], 10'000);
    EXPECT_EQ(get("/api/events?since=0").document()["last"], 3); // without a time as ever
}

TEST(Moment, IsATimeUnixSecondsOrHowLongAgo) {
    const WallTime now{1'769'860'800'000};
    EXPECT_EQ(parse_moment("2026-01-31T12:00:00Z", now)->ms, now.ms);
    EXPECT_EQ(parse_moment("2026-01-31T12:00:00.5Z", now)->ms, now.ms + 500);
    EXPECT_EQ(parse_moment("2026-01-31T12:00Z", now)->ms, now.ms);
    EXPECT_EQ(parse_moment("1769860800", now)->ms, now.ms);
    EXPECT_EQ(parse_moment("2h", now)->ms, now.ms - 7'200'000);
    for (const char* bad :
         {"", "2026-01-31", "2026-02-30T12:00:00Z", "2026-01-31T25:00:00Z", "2026-01-31T12:00:00",
          "2026-01-31T12:00:00+01:00", "99999999999999", "-5", "2026-01-31T12:00:00.Z", "Z"})
        EXPECT_FALSE(parse_moment(bad, now)) << bad;
}

} // namespace
} // namespace keepwell::test
