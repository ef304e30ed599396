#include "api_support.h"

#include <gmock/gmock.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using testing::HasSubstr;

namespace {

class RoutesTest : public ApiTest {
  protected:
    void expect_error(const Answer& answer, int status, const std::string& code) {
        EXPECT_EQ(answer.status, status) << answer.body;
        const json doc = answer.document();
        EXPECT_EQ(doc["status"], "error");
        EXPECT_EQ(doc["code"], code) << answer.body;
        EXPECT_FALSE(doc["error"].get<std::string>().empty());
        EXPECT_THAT(doc["timestamp"].get<std::string>(), HasSubstr("T"));
    }
};

TEST_F(RoutesTest, StatusIsTheDocumentWithAnETagAndNotModifiedAfterwards) {
    const Answer first = get("/api/status");
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(first.body, control.document);
    EXPECT_EQ(first.header("Content-Type"), "application/json");
    EXPECT_EQ(first.header("Cache-Control"), "no-store");
    const std::string etag = first.header("ETag");
    ASSERT_FALSE(etag.empty());
    const Answer second = get("/api/status", "If-None-Match: \"zz\", " + etag + "\r\n");
    EXPECT_EQ(second.status, 304);
    EXPECT_EQ(second.body, "");
    control.document = "{}";
    EXPECT_EQ(get("/api/status", "If-None-Match: " + etag + "\r\n").status, 200);
}

TEST_F(RoutesTest, ALargeDocumentArrivesWhole) {
    control.document = "{\"x\":\"" + std::string(3'000'000, 'a') + "\"}";
    EXPECT_EQ(get("/api/status").body, control.document);
}

TEST_F(RoutesTest, HeadGivesTheHeadersOfGet) {
    const Answer answer = exchange("HEAD /api/status HTTP/1.1\r\nHost: x\r\n\r\n", true);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "");
}

TEST_F(RoutesTest, DaemonsComeInTheirEnvelope) {
    const json all = get("/api/status/daemons").document();
    EXPECT_EQ(all["status"], "success");
    EXPECT_EQ(all["data"]["daemons"][0]["name"], "web");
    EXPECT_EQ(all["data"]["overallHealth"], "healthy");
    const json one = get("/api/status/daemon/Flask%20Web").document();
    EXPECT_EQ(one["data"]["pid"], "812");
    EXPECT_EQ(one["data"]["service"]["key"], "web");
    EXPECT_TRUE(one.contains("timestamp"));
    expect_error(get("/api/status/daemon/nobody"), 404, "unknown_service");
}

TEST_F(RoutesTest, OneWordIsEnoughForScripts) {
    const Answer good = get("/api/status/daemon/web?format=text");
    EXPECT_EQ(good.body, "OK\n");
    EXPECT_THAT(good.header("Content-Type"), HasSubstr("text/plain"));
    control.fleet[0].ok = false;
    EXPECT_EQ(get("/api/status/daemon/web?format=text").body, "NOT_OK\n");
}

TEST_F(RoutesTest, TheSupervisorsOwnHealth) {
    for (const char* target : {"/api/health", "/api/health/live", "/api/health/ready"}) {
        const Answer answer = get(target);
        EXPECT_EQ(answer.status, 200);
        const json doc = answer.document();
        EXPECT_EQ(doc["status"], "healthy");
        EXPECT_EQ(doc["version"], "0.1.0");
        EXPECT_TRUE(doc["uptime_s"].is_number());
    }
    control.ready = false;
    EXPECT_EQ(get("/api/health/ready").status, 503);
    EXPECT_EQ(get("/api/health/live").status, 200);
}

TEST_F(RoutesTest, HealthIsAlwaysTwoHundredUnlessAskedToBeStrict) {
    EXPECT_EQ(get("/health?strict=1").status, 200);
    control.fleet[0].health = Verdict::Down;
    control.fleet[0].reason = "exit 1";
    const Answer answer = get("/health");
    EXPECT_EQ(answer.status, 200);
    const json doc = answer.document();
    EXPECT_EQ(doc["overall_status"], "degraded");
    EXPECT_EQ(doc["status"], "degraded");
    EXPECT_EQ(doc["reasons"][0]["service"], "web");
    for (const char* key : {"components", "system_metrics", "timestamp", "version"})
        EXPECT_TRUE(doc.contains(key)) << key;
    EXPECT_EQ(get("/health?strict=1").status, 503);
}

TEST_F(RoutesTest, ChecksWhyExplainRuntime) {
    EXPECT_EQ(get("/api/checks").document()["checks"][0]["service"], "web");
    EXPECT_EQ(get("/api/why/web").document()["service"], "web");
    expect_error(get("/api/why/nobody"), 404, "unknown_service");
    expect_error(get("/api/explain/web"), 409, "conflict");
    EXPECT_EQ(get("/api/runtime").document()["pid"], 1);
}

TEST_F(RoutesTest, EventsTakeSinceAndABoundedLimit) {
    const json doc = get("/api/events?since=1&limit=99999999").document();
    EXPECT_EQ(doc["events"].size(), 2U);
    EXPECT_EQ(control.asked_limit, 10'000U);
    for (const char* bad :
         {"since=-1", "since=x", "limit=", "wait=1.5", "since=99999999999999999999"})
        expect_error(get(std::string("/api/events?") + bad), 400, "bad_request");
}

TEST_F(RoutesTest, EveryVerbReachesControlWithItsPeer) {
    const std::vector<std::pair<std::string, std::string>> calls = {
        {"start", ""},
        {"stop", "{}"},
        {"restart", ""},
        {"reload", ""},
        {"signal", R"({"signal":"HUP"})"},
        {"check", R"({"check":"http"})"},
        {"pause", R"({"for":"30m"})"},
        {"resume", ""},
        {"reset", ""}};
    for (const auto& [verb, body] : calls) {
        const Answer answer = post("/api/services/web/" + verb, body);
        EXPECT_EQ(answer.status, 202) << verb << answer.body;
        EXPECT_EQ(answer.document(), (json{{"action_id", "a1"}}));
        ASSERT_FALSE(control.requests.empty());
        EXPECT_EQ(to_string(control.requests.back().verb), verb);
        EXPECT_EQ(control.requests.back().names, std::vector<std::string>{"web"});
    }
    EXPECT_EQ(control.requests[4].signal, 1);
    EXPECT_EQ(control.requests[5].check_id, "http");
    EXPECT_EQ(control.requests[6].pause_for, 30min);
    EXPECT_EQ(control.requests[0].peer.uid, static_cast<std::int64_t>(getuid()));
    EXPECT_EQ(control.requests[0].peer.pid, static_cast<std::int64_t>(getpid()));
}

TEST_F(RoutesTest, RefusedActionsSayWhy) {
    expect_error(post("/api/services/nobody/start"), 404, "unknown_service");
    expect_error(post("/api/services/web/explode"), 404, "not_found");
    expect_error(post("/api/services/web/signal"), 400, "bad_request");
    expect_error(post("/api/services/web/start", R"({"for":"1m"})"), 400, "bad_request");
    expect_error(post("/api/services/web/pause", R"({"for":"soon"})"), 400, "bad_request");
    expect_error(post("/api/services/web/start", "{"), 400, "bad_request");
    control.refusal = Error{"cannot reload web: it has no reload_command", EINVAL};
    expect_error(post("/api/services/web/reload"), 400, "bad_request");
    control.refusal = Error{"cannot start web: shutting down", 0};
    expect_error(post("/api/services/web/start"), 409, "conflict");
    EXPECT_TRUE(control.requests.empty());
}

TEST_F(RoutesTest, SeveralServicesAtOnce) {
    EXPECT_EQ(post("/api/actions", R"({"verb":"restart","names":["web","*"]})").status, 202);
    EXPECT_EQ(control.requests.back().names.size(), 2U);
    expect_error(post("/api/actions", R"({"verb":"restart","names":[]})"), 400, "bad_request");
    expect_error(post("/api/actions", R"({"names":["web"]})"), 400, "bad_request");
    expect_error(post("/api/actions", R"({"verb":"stop","names":["web","gone"]})"), 404,
                 "unknown_service");
}

TEST_F(RoutesTest, ActionsCanBeFollowed) {
    post("/api/services/web/restart");
    json doc = get("/api/actions/a1").document();
    EXPECT_EQ(doc["finished"], false);
    EXPECT_EQ(doc["units"][0], (json{{"key", "web"}, {"status", "working"}, {"message", ""}}));
    expect_error(get("/api/actions/a2"), 404, "unknown_action");
}

TEST_F(RoutesTest, ALongPollAnswersWhenTheActionChanges) {
    post("/api/services/web/restart");
    RawClient client(path);
    client.send_later(get_text("/api/actions/a1?wait=20"));
    ASSERT_TRUE(until([&] {
        client.turn();
        return server->waiting() == 1;
    }));
    control.actions["a1"].finished = control.actions["a1"].ok = true;
    server->notify();
    ASSERT_TRUE(until([&] { return client.turn(); }));
    EXPECT_EQ(client.take().document()["finished"], true);
    EXPECT_EQ(get("/api/actions/a1?wait=20").document()["finished"], true) << "finished: at once";
}

TEST_F(RoutesTest, ALongPollKnowsWhatTheClientHasSeen) {
    post("/api/services/web/restart");
    const std::string etag = get("/api/actions/a1").header("ETag");
    control.actions["a1"].units[0].message = "stopping";
    const Answer answer = get("/api/actions/a1?wait=20", "If-None-Match: " + etag + "\r\n");
    EXPECT_EQ(answer.document()["units"][0]["message"], "stopping");
}

TEST_F(RoutesTest, ALongPollForEventsAnswersWithTheNextOne) {
    RawClient client(path);
    client.send_later(get_text("/api/events?since=3&wait=20"));
    ASSERT_TRUE(until([&] {
        client.turn();
        return server->waiting() == 1;
    }));
    EXPECT_EQ(control.asked_limit, 1U) << "whether there is one, and no more";
    control.last_event = 4;
    ASSERT_TRUE(until([&] { return client.turn(); }));
    EXPECT_EQ(client.take().document()["events"][0]["sequence"], 4);
    EXPECT_EQ(get("/api/events?since=3&wait=20").document()["last"], 4) << "news: at once";
}

TEST_F(RoutesTest, ALongPollEndsWithItsTime) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(get("/api/events?since=3&wait=1").document()["events"].size(), 0U);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 950ms);
}

TEST_F(RoutesTest, ChecksCanBeRunAndSwitched) {
    EXPECT_EQ(post("/api/checks/web/http/run").status, 202);
    EXPECT_EQ(control.requests.back().verb, Verb::Check);
    EXPECT_EQ(control.requests.back().check_id, "http");
    EXPECT_EQ(post("/api/checks/web/http/disable").document()["enabled"], false);
    EXPECT_EQ(post("/api/checks/web/http/enable").document()["enabled"], true);
    expect_error(post("/api/checks/web/nope/run"), 404, "unknown_check");
    expect_error(post("/api/checks/nobody/http/run"), 404, "unknown_service");
    expect_error(post("/api/checks/web/http/break"), 404, "not_found");
}

TEST_F(RoutesTest, ABeatIsTakenAtOnce) {
    EXPECT_EQ(post("/api/services/web/beat").status, 200);
    expect_error(post("/api/services/bare/beat"), 400, "bad_request");
    EXPECT_THAT(control.beats, testing::ElementsAre("web", "bare"));
    EXPECT_TRUE(control.requests.empty());
    expect_error(get("/api/services/web/beat"), 405, "method_not_allowed");
}

TEST_F(RoutesTest, ReloadGivesTheDifferenceOrEveryError) {
    EXPECT_EQ(post("/api/config/reload", R"({"dry_run":true})").document()["added"].size(), 0U);
    const Answer bad = post("/api/config/reload");
    expect_error(bad, 400, "bad_config");
    EXPECT_EQ(bad.document()["errors"],
              (json{"a.toml:1:2: cannot read x", "a.toml:3:4: cannot read y"}));
}

TEST_F(RoutesTest, ShutdownIsAccepted) {
    EXPECT_EQ(post("/api/shutdown").status, 202);
    EXPECT_EQ(control.shutdowns, 1);
    EXPECT_EQ(control.last_peer.pid, static_cast<std::int64_t>(getpid()));
}

TEST_F(RoutesTest, ShutdownMayLeaveTheDaemons) {
    EXPECT_EQ(post("/api/shutdown", R"({"leave":true})").status, 202);
    EXPECT_EQ(control.leaves, 1);
    EXPECT_EQ(control.shutdowns, 0);
    expect_error(post("/api/shutdown", R"({"leave":1})"), 400, "bad_request");
}

TEST_F(RoutesTest, AnUpgradeIsAcceptedOrRefused) {
    EXPECT_EQ(post("/api/upgrade").status, 202);
    EXPECT_EQ(control.upgrades, 1);
    control.refusal = Error{"cannot upgrade: keepwell is shutting down", 0};
    expect_error(post("/api/upgrade"), 409, "conflict");
}

TEST_F(RoutesTest, ChangesNeedTheirHeaders) {
    const std::string line = "POST /api/shutdown HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n";
    expect_error(exchange(line + "\r\n"), 400, "bad_request");
    expect_error(exchange(line + "Content-Type: application/json\r\n\r\n"), 400, "bad_request");
    expect_error(exchange(line + "X-Keepwell-Request: 1\r\n\r\n"), 400, "bad_request");
    expect_error(exchange(line + "Content-Type: text/plain\r\nX-Keepwell-Request: 1\r\n\r\n"), 400,
                 "bad_request");
    EXPECT_EQ(control.shutdowns, 0);
}

TEST_F(RoutesTest, AGetNeverActs) {
    for (const char* target : {"/api/shutdown", "/api/services/web/stop", "/api/actions",
                               "/api/config/reload", "/api/checks/web/http/run"}) {
        const Answer answer = get(target);
        expect_error(answer, 405, "method_not_allowed");
        EXPECT_EQ(answer.header("Allow"), "POST");
    }
    EXPECT_TRUE(control.requests.empty());
    EXPECT_EQ(post("/api/status").header("Allow"), "GET, HEAD");
}

TEST_F(RoutesTest, WhatControlThrowsIsAnErrorWithoutDetail) {
    control.broken = true;
    const Answer answer = get("/api/status");
    expect_error(answer, 500, "internal");
    EXPECT_EQ(answer.body.find("secret"), std::string::npos);
    EXPECT_EQ(log.size(), 1U);
}

} // namespace
