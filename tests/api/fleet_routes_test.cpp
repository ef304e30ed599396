// Alerts, the fleet, heartbeats, the list of routes, and words that a parameter does not take.
#include "api_support.h"

#include <gmock/gmock.h>

#include <fstream>
#include <set>

using namespace keepwell;
using namespace keepwell::test;
using testing::HasSubstr;

namespace {

class FleetRoutes : public ApiTest {
  protected:
    void expect_error(const Answer& answer, int status, const std::string& code) {
        EXPECT_EQ(answer.status, status) << answer.body;
        EXPECT_EQ(answer.document()["code"], code) << answer.body;
    }
};

TEST_F(FleetRoutes, EveryRouteIsListedOnceWithItsScope) {
    const json routes = get("/api").document()["routes"];
    std::set<std::string> seen;
    for (const auto& r : routes)
        EXPECT_TRUE(
            seen.insert(r["method"].get<std::string>() + " " + r["path"].get<std::string>()).second)
            << r;
    EXPECT_TRUE(seen.contains("GET /api/status"));
    EXPECT_TRUE(seen.contains("POST /api/services/*/*"));
    const auto scope = [&](const std::string& target) {
        for (const auto& r : routes)
            if (r["path"] == target) return r["scope"].get<std::string>();
        return std::string();
    };
    EXPECT_EQ(scope("/api/status"), "read");
    EXPECT_EQ(scope("/api/health/live"), "open");
    EXPECT_EQ(scope("/api/shutdown"), "control");
    EXPECT_EQ(scope("/api/heartbeat/*"), "heartbeat");
}

TEST_F(FleetRoutes, AlertsAreEmptyAndSayThatNobodyLooks) {
    for (const char* target :
         {"/api/alerts", "/api/alerts/history",
          "/api/alerts?severity=critical&state=firing&service=web", "/api/alerts?severity="}) {
        const Answer answer = get(target);
        EXPECT_EQ(answer.status, 200) << target;
        EXPECT_EQ(answer.document(), (json{{"alerts", json::array()}, {"evaluated", false}}));
    }
    const Answer bad = get("/api/alerts?severity=dreadful");
    expect_error(bad, 400, "bad_request");
    EXPECT_EQ(bad.document()["error"],
              "cannot read severity: use info, warning, error or critical");
    expect_error(get("/api/alerts?state=x"), 400, "bad_request");
    expect_error(get("/api/alerts/history?service=nobody"), 404, "unknown_service");
}

TEST_F(FleetRoutes, AnAlertThatIsNotThereIsUnknown) {
    expect_error(post("/api/alerts/7/ack"), 404, "unknown_alert");
    expect_error(post("/api/alerts/7/silence", R"({"for":"1h"})"), 404, "unknown_alert");
    expect_error(post("/api/alerts/7/silence", R"({"for":"soon"})"), 400, "bad_request");
    expect_error(post("/api/alerts/7/ack", R"({"for":"1h"})"), 400, "bad_request");
    expect_error(post("/api/alerts/7/forget"), 404, "not_found");
}

TEST_F(FleetRoutes, AHeartbeatIsABeat) {
    EXPECT_EQ(post("/api/heartbeat/web").status, 200);
    EXPECT_EQ(control.beats, std::vector<std::string>{"web"});
    expect_error(post("/api/heartbeat/other"), 400, "bad_request");
}

TEST_F(FleetRoutes, ThisHostTellsItsVerdictItsCountsAndItsProblems) {
    UnitSnapshot db = control.fleet[0];
    db.key = "db";
    db.name = "";
    db.health = Verdict::Down;
    db.ok = false;
    db.pid = 0;
    db.reason = "exit 1\x1b[31m";
    UnitSnapshot resting = db;
    resting.key = "resting";
    resting.should_run = false;
    resting.ok = true;
    control.fleet[0].ok = true;
    control.fleet.push_back(db);
    control.fleet.push_back(resting);
    const json hosts = get("/api/fleet").document()["hosts"];
    ASSERT_EQ(hosts.size(), 1U);
    const json& host = hosts[0];
    EXPECT_EQ(host["self"], true);
    EXPECT_EQ(host["verdict"], "degraded");
    EXPECT_EQ(host["counts"]["total"], 3);
    EXPECT_EQ(host["counts"]["ok"], 2);
    EXPECT_EQ(host["counts"]["failing"], 1);
    EXPECT_EQ(host["counts"]["healthy"], 1);
    EXPECT_EQ(host["counts"]["down"], 2);
    ASSERT_EQ(host["problems"].size(), 1U) << "what shall not run is no problem";
    EXPECT_EQ(host["problems"][0]["service"], "db");
    EXPECT_EQ(host["problems"][0]["name"], "db");
    EXPECT_EQ(host["problems"][0]["reason"], "exit 1[31m");
    EXPECT_TRUE(host["url"].is_null());
    EXPECT_EQ(get("/api/fleet/targets").document(), json::array());
}

TEST_F(FleetRoutes, AThousandProblemsAreCutToFifty) {
    UnitSnapshot db = control.fleet[0];
    db.health = Verdict::Down;
    control.fleet.assign(1000, db);
    const json host = get("/api/fleet").document()["hosts"][0];
    EXPECT_EQ(host["problems"].size(), 50U);
    EXPECT_EQ(host["counts"]["down"], 1000);
}

TEST_F(FleetRoutes, TheDocumentHoldsTheLastLinesWhenTheyAreAskedFor) {
    control.document =
        R"({"services":{},"data":{"daemons":{},"logs":{"logs":{},"lastUpdate":"T"}}})";
    control.folder = folder;
    std::ofstream(folder + "/web.log") << "first\nsecond\nthird \"quoted\"\n";
    const Answer answer = get("/api/status?logs=2");
    ASSERT_EQ(answer.status, 200) << answer.body;
    const json logs = answer.document()["data"]["logs"];
    EXPECT_EQ(logs["lastUpdate"], "T");
    ASSERT_EQ(logs["logs"]["web"].size(), 2U) << answer.body;
    EXPECT_EQ(logs["logs"]["web"][0]["message"], "second");
    EXPECT_EQ(logs["logs"]["web"][1]["message"], "third \"quoted\"");
    EXPECT_EQ(logs["logs"]["web"][1]["daemon"], "web");
    EXPECT_EQ(get("/api/status").document()["data"]["logs"]["logs"], json::object());
    const std::string etag = answer.header("ETag");
    EXPECT_NE(etag, get("/api/status").header("ETag"));
    EXPECT_EQ(get("/api/status?logs=2", "If-None-Match: " + etag + "\r\n").status, 304);
    std::ofstream(folder + "/web.log", std::ios::app) << "fourth\n";
    EXPECT_EQ(get("/api/status?logs=2", "If-None-Match: " + etag + "\r\n").status, 200);
}

TEST_F(FleetRoutes, AWordThatAParameterDoesNotTakeIsRefused) {
    for (const char* target : {"/health?strict=yes", "/api/status/daemon/web?format=xml",
                               "/api/status?logs=201", "/api/status?logs=-1", "/api/status?logs="})
        expect_error(get(target), 400, "bad_request");
    EXPECT_THAT(get("/health?strict=yes").document()["error"].get<std::string>(),
                HasSubstr("use 0 or 1"));
    EXPECT_EQ(get("/health?strict=0").status, 200);
    EXPECT_EQ(get("/api/status/daemon/web?format=json").status, 200);
    EXPECT_EQ(get("/api/status?logs=0&_=1700000000").status, 200);
}

} // namespace
