#include "tests/cli/fake_server.h"
#include "tests/cli/support.h"

#include <atomic>
#include <csignal>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <unistd.h>

namespace keepwell::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string action(bool finished, bool ok, const std::string& units) {
    return std::string(R"({"action_id":"7","finished":)") + (finished ? "true" : "false") +
           ",\"ok\":" + (ok ? "true" : "false") + ",\"units\":[" + units + "]}";
}
std::string unit(const std::string& key, const std::string& status, const std::string& message) {
    return R"({"key":")" + key + R"(","status":")" + status + R"(","message":")" + message + "\"}";
}

class Actions : public testing::Test {
  protected:
    void SetUp() override {
        server.on("POST /api/actions", 202, R"({"action_id":"7"})");
        server.on("GET /api/status", 200, R"({"services":{"web":{"key":"web","name":"web"}}})");
    }
    Ran cli(std::vector<std::string> words, Style style = {}) {
        return run(std::move(words), style, {{"KEEPWELL_SOCKET", server.socket_path()}});
    }
    // The action works for two polls and then ends.
    void ends_with(bool ok, const std::string& units) {
        auto polls = std::make_shared<std::atomic<int>>(0);
        server.on("GET /api/actions/7", [=](const Request&) {
            if (++*polls < 3)
                return Answer{200, action(false, false, unit("web", "working", "stopping"))};
            return Answer{200, action(true, ok, units)};
        });
    }
    std::string posted() {
        for (const auto& request : server.requests()) {
            if (request.method == "POST") return request.body;
        }
        return {};
    }
    FakeServer server;
};

TEST_F(Actions, InAPipeThereIsOneFinalLineForEachUnit) {
    ends_with(true, unit("web", "ok", "running, pid 4711"));
    const Ran ran = cli({"restart", "web"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "web  ok  running, pid 4711\n");
}

TEST_F(Actions, OnATerminalTheLineIsRewrittenInPlace) {
    ends_with(true, unit("web", "ok", "running, pid 4711"));
    const Ran ran = cli({"restart", "web"}, terminal(80));
    EXPECT_EQ(ran.out,
              "◌ web  working  stopping\n\x1b[1A\r\x1b[J● web  ok       running, pid 4711\n");
}

TEST_F(Actions, OneFailedUnitIsExit1) {
    ends_with(false, unit("web", "ok", "done") + "," + unit("db", "failed", "exit 1"));
    const Ran ran = cli({"start", "web", "db"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.out, HasSubstr("db  failed  exit 1"));
}

TEST_F(Actions, AFailedCheckIsExit3) {
    ends_with(false, unit("web", "failed", "http 503"));
    EXPECT_EQ(cli({"check", "web/http"}).code, 3);
    EXPECT_EQ(posted(), R"({"verb":"check","names":["web"],"check":"http"})");
}

TEST_F(Actions, WhatIsAskedForIsPosted) {
    ends_with(true, "");
    (void)cli({"signal", "HUP", "web", "w*"});
    EXPECT_EQ(posted(), R"({"verb":"signal","names":["web","w*"],"signal":"HUP"})");
    const Request first = server.requests().front();
    EXPECT_THAT(first.headers, HasSubstr("X-Keepwell-Request: 1"));
    EXPECT_THAT(first.headers, HasSubstr("Content-Type: application/json"));
}

TEST_F(Actions, APauseCarriesItsTime) {
    ends_with(true, unit("web", "ok", "paused"));
    EXPECT_EQ(cli({"unmonitor", "web", "--for", "30m"}).code, 0);
    EXPECT_EQ(posted(), R"({"verb":"pause","names":["web"],"for":"30m"})");
}

TEST_F(Actions, CheckWithoutANameIsEveryUnit) {
    ends_with(true, "");
    (void)cli({"check"});
    EXPECT_EQ(posted(), R"({"verb":"check","names":["all"]})");
}

TEST_F(Actions, NoWaitReturnsAtOnce) {
    const Ran ran = cli({"stop", "web", "--no-wait"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(Actions, AnUnknownNameIs4WithAGuess) {
    server.on("POST /api/actions", 404,
              R"({"status":"error","error":"no unit named wbe","code":"unknown_service"})");
    const Ran ran = cli({"stop", "wbe"});
    EXPECT_EQ(ran.code, 4);
    EXPECT_THAT(ran.err, HasSubstr("did you mean web?"));
}

TEST_F(Actions, ARefusalIsSaidInTheSupervisorsWords) {
    server.on(
        "POST /api/actions", 409,
        R"({"status":"error","error":"cannot reload web: it has no reload_command","code":"conflict"})");
    const Ran ran = cli({"reload", "web"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.err, "keepwell: cannot reload web: it has no reload_command\n");
}

TEST_F(Actions, AnActionThatTheSuccessorDoesNotKnowIsAnError) {
    const Ran ran = cli({"stop", "web"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.err, HasSubstr("the supervisor was replaced"));
}

TEST_F(Actions, CtrlCLeavesTheActionRunningAndSaysSo) {
    server.on("GET /api/actions/7", [](const Request&) {
        kill(getpid(), SIGINT);
        return Answer{200, action(false, false, unit("web", "working", ""))};
    });
    const Ran ran = cli({"stop", "web"});
    EXPECT_EQ(ran.code, 130);
    EXPECT_THAT(ran.err, HasSubstr("the action goes on"));
}

TEST_F(Actions, MessagesOfAUnitAreNeverPrintedRaw) {
    ends_with(true, unit("web", "ok", "\\u001b[2J"));
    EXPECT_THAT(cli({"stop", "web"}).out, Not(HasSubstr("\x1b")));
}

TEST_F(Actions, ManyUnitsDoNotScrollTheScreenAway) {
    std::string units;
    for (int i = 0; i < 30; ++i) {
        units += (i > 0 ? "," : "") + unit("u" + std::to_string(i), "ok", "done");
    }
    ends_with(true, units);
    EXPECT_THAT(cli({"stop", "all"}, terminal(80)).out, HasSubstr("u29"));
}

TEST_F(Actions, ACheckIsSwitchedByItsOwnRoute) {
    server.on("POST /api/checks/web/http/disable", 200, "{}");
    const Ran ran = cli({"check", "--disable", "web/http"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "web/http is off\n");
    server.on("POST /api/checks/web/x/disable", 404,
              R"({"error":"web has no check x","code":"unknown_check"})");
    EXPECT_EQ(cli({"check", "--disable", "web/x"}).code, 4);
}

TEST_F(Actions, AReloadWithErrorsPrintsThemAllAndChangesNothing) {
    server.on(
        "POST /api/config/reload", 400,
        R"({"status":"error","error":"2 errors","errors":["a.toml:1:2: cannot x","a.toml:3:4: cannot y"]})");
    const Ran ran = cli({"reload"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.err,
              "a.toml:1:2: cannot x\na.toml:3:4: cannot y\nkeepwell: 2 errors; the running "
              "configuration is untouched\n");
}

TEST_F(Actions, ADryReloadAsksForOne) {
    server.on("POST /api/config/reload", 200, R"({"added":["new"]})");
    EXPECT_THAT(cli({"reload", "--dry-run"}).out, HasSubstr("add  new"));
    EXPECT_EQ(posted(), R"({"dry_run":true})");
}

TEST_F(Actions, ShutdownWaitsUntilNobodyAnswers) {
    std::atomic<int> asked = 0;
    server.on("POST /api/shutdown", 202, "{}");
    server.on("GET /api/runtime", 200, R"({"keeper_pid":0})");
    server.on("GET /api/health/live", [&](const Request&) {
        ++asked;
        // The path goes away, as it does when a supervisor ends.
        if (asked == 2) unlink(server.socket_path().c_str());
        return Answer{200, "{}"};
    });
    const Ran ran = cli({"shutdown"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out, "keepwell has stopped\n");
    EXPECT_EQ(asked, 2);
}

} // namespace
} // namespace keepwell::cli
