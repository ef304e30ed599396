// GET /metrics and what the server counts for it.
#include "tests/api/api_support.h"

using namespace keepwell;
using namespace keepwell::test;

namespace {

class MetricsRoute : public ApiTest {
  protected:
    std::uint64_t requests(const std::string& handler, const std::string& method, int code) {
        const auto& all = server->counters().requests;
        const auto it = all.find({handler, method, code});
        return it == all.end() ? 0 : it->second;
    }
    std::uint64_t rejected(const std::string& reason) {
        const auto& all = server->counters().rejected;
        const auto it = all.find(reason);
        return it == all.end() ? 0 : it->second;
    }
};

TEST_F(MetricsRoute, GivesThePageAsPrometheusWantsIt) {
    const Answer answer = get("/metrics");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(answer.body, control.metrics_text());
    EXPECT_EQ(post("/metrics").status, 405);
}

TEST_F(MetricsRoute, RequestsAreCountedByTheirRouteAndNeverByTheirPath) {
    get("/api/why/web");
    get("/api/why/secret-name");
    get("/no/such/path");
    EXPECT_EQ(requests("/api/why/*", "GET", 200), 1U);
    EXPECT_EQ(requests("/api/why/*", "GET", 404), 1U);
    EXPECT_EQ(requests("none", "GET", 404), 1U);
    for (const auto& [kind, count] : server->counters().requests)
        EXPECT_EQ(kind.handler.find("secret"), std::string::npos) << kind.handler;
    EXPECT_EQ(server->counters().durations.size(), 2U);
}

TEST_F(MetricsRoute, MethodsThatNobodyKnowsShareOneWord) {
    exchange("BREW /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    exchange("POUR /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(requests("none", "other", 405), 2U);
}

TEST_F(MetricsRoute, ARequestThatWaitsIsCountedWhenItIsAnswered) {
    RawClient client(path);
    client.send_later(get_text("/api/events?since=3&wait=20"));
    ASSERT_TRUE(until([&] { return client.turn() || server->waiting() == 1; }));
    EXPECT_EQ(requests("/api/events", "GET", 200), 0U);
    control.last_event = 4;
    server->notify();
    ASSERT_TRUE(until([&] { return client.turn(); }));
    EXPECT_EQ(requests("/api/events", "GET", 200), 1U);
}

TEST_F(MetricsRoute, WhatIsTurnedAwayBeforeAnyRouteIsCountedByItsReason) {
    get("/metrics", "X-Long: " + std::string(9000, 'a') + "\r\n");
    EXPECT_EQ(rejected("headers_too_large"), 1U);
    EXPECT_EQ(requests("none", "GET", 431), 1U);
    get("/no/such/path");
    EXPECT_EQ(server->counters().rejected.size(), 1U);
}

} // namespace
