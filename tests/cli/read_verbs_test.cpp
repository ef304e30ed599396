#include "tests/cli/fake_server.h"
#include "tests/cli/support.h"

#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string status_with(const std::string& services) {
    return R"({"generated_at":"2025-10-27T11:59:50.000Z","stale_after_s":90,"services":{)" +
           services + "}}";
}
std::string unit_json(const std::string& key, const std::string& state, const std::string& health,
                      const std::string& more = "") {
    const std::string wanted = state == "stopped" ? "stopped" : "running";
    return "\"" + key + "\":{\"key\":\"" + key + "\",\"name\":\"" + key +
           "\",\"kind\":\"child\",\"state\":\"" + state + "\",\"desired_state\":\"" + wanted +
           "\",\"health\":{\"status\":\"" + health + "\"}" + more + "}";
}

// Root may open every socket: be nobody for a while.
class NotRoot {
  public:
    NotRoot() : root_(geteuid() == 0) {
        if (root_ && seteuid(65534) != 0) ADD_FAILURE() << "seteuid";
    }
    ~NotRoot() {
        if (root_ && seteuid(0) != 0) ADD_FAILURE() << "seteuid";
    }
    NotRoot(const NotRoot&) = delete;
    NotRoot& operator=(const NotRoot&) = delete;

  private:
    bool root_;
};

class ReadVerbs : public testing::Test {
  protected:
    Ran cli(std::vector<std::string> words, Style style = {}) {
        return run(std::move(words), style, {{"KEEPWELL_SOCKET", server.socket_path()}});
    }
    int code_of(const std::string& services) {
        server.on("GET /api/status", 200, status_with(services));
        const int code = cli({"status"}).code;
        EXPECT_EQ(cli({"health"}).code, code);
        return code;
    }
    FakeServer server;
};

TEST_F(ReadVerbs, ExitCodesFollowWhatShouldRun) {
    EXPECT_EQ(code_of(""), 0);
    EXPECT_EQ(code_of(unit_json("a", "running", "healthy")), 0);
    EXPECT_EQ(code_of(unit_json("a", "stopped", "down")), 0) << "stopped on purpose";
    EXPECT_EQ(code_of(unit_json("a", "completed", "healthy")), 0);
    EXPECT_EQ(code_of(unit_json("a", "running", "down", ",\"paused\":true")), 0) << "paused";
    EXPECT_EQ(code_of(unit_json("a", "running", "degraded")), 3);
    EXPECT_EQ(code_of(unit_json("a", "running", "unknown")), 3);
    EXPECT_EQ(
        code_of(unit_json("a", "running", "healthy") + "," + unit_json("b", "backoff", "down")), 3);
    EXPECT_EQ(code_of(unit_json("a", "failed", "down")), 3);
    EXPECT_EQ(code_of(unit_json("a", "waiting", "unknown")), 3);
}

TEST_F(ReadVerbs, OfWhatIsNotHealedNoBudgetIsTold) {
    const std::string restarts = R"(,"restarts":{"total":0,"budget":10,"attempts_left":10})";
    server.on("GET /api/status", 200,
              status_with(unit_json("a", "failed", "down", restarts + R"(,"heal":false)") + "," +
                          unit_json("b", "failed", "down", restarts + R"(,"heal":true)")));
    EXPECT_THAT(cli({"status", "a"}).out, Not(HasSubstr("left before cooldown")));
    EXPECT_THAT(cli({"status", "b"}).out, HasSubstr("10 of 10 left before cooldown"));
}

TEST_F(ReadVerbs, StatusOfSomeUnitsCountsOnlyThem) {
    server.on("GET /api/status", 200,
              status_with(unit_json("a", "running", "healthy") + "," +
                          unit_json("b", "backoff", "down")));
    EXPECT_EQ(cli({"status", "a"}).code, 0);
    EXPECT_EQ(cli({"status", "b"}).code, 3);
    EXPECT_THAT(cli({"status", "a", "b"}).out, HasSubstr("2 units: 1 healthy, 1 down"));
}

TEST_F(ReadVerbs, OneNameGivesTheLongBlockAndSeveralTheTable) {
    server.on("GET /api/status", 200, read_file("status-example.json"));
    EXPECT_THAT(cli({"status", "flask_web"}).out, HasSubstr("keepwell why flask_web"));
    EXPECT_THAT(cli({"show", "Flask Web"}).out, HasSubstr("flask_web (Flask Web)"));
    EXPECT_THAT(cli({"status"}).out, StartsWith("NAME"));
    EXPECT_THAT(cli({"status", "--no-header"}).out, Not(HasSubstr("NAME")));
}

TEST_F(ReadVerbs, TheLongBlockEndsWithTheLastOutput) {
    server.on("GET /api/status", 200, read_file("status-example.json"));
    server.on("GET /api/runtime", 200, "{\"log_dir\":\"" + server.directory() + "\"}");
    std::ofstream(server.directory() + "/flask_web.log") << "one\n\x1b[31mtwo\x1b[0m \x07\n";
    EXPECT_THAT(cli({"show", "flask_web"}).out, HasSubstr("last output\n    one\n    two \\x07\n"));
}

TEST_F(ReadVerbs, AnUnknownNameIs4WithAGuess) {
    server.on("GET /api/status", 200, status_with(unit_json("web", "running", "healthy")));
    for (const char* verb : {"status", "show", "checks", "why", "explain"}) {
        const Ran ran = cli({verb, "wbe"});
        EXPECT_EQ(ran.code, 4) << verb;
        EXPECT_THAT(ran.err, HasSubstr("no unit named \"wbe\" (did you mean web?)"));
        EXPECT_EQ(ran.out, "");
    }
}

TEST_F(ReadVerbs, JsonIsTheAnswerOfTheApi) {
    const std::string body = status_with(unit_json("web", "running", "healthy"));
    server.on("GET /api/status", 200, body);
    server.on("GET /api/health", 200, R"({"status":"healthy"})");
    EXPECT_EQ(cli({"status", "--json"}).out, body + "\n");
    EXPECT_EQ(cli({"health", "--json"}).out, "{\"status\":\"healthy\"}\n");
    EXPECT_THAT(cli({"status", "web", "--json"}).out, StartsWith("{\"key\":\"web\""));
}

TEST_F(ReadVerbs, NobodyThereIs5AndSaysHowToStart) {
    const std::string path = server.socket_path();
    server.shut();
    for (const char* verb : {"status", "health", "checks", "events"}) {
        const Ran ran = cli({verb});
        EXPECT_EQ(ran.code, 5) << verb;
        EXPECT_EQ(
            ran.err,
            "keepwell: keepwell is not running (no answer at " + path +
                "); start it with \"systemctl start keepwell\" or \"keepwell run -c FILE\"\n");
    }
    EXPECT_EQ(cli({"why", "web"}).code, 5);
    EXPECT_EQ(cli({"restart", "web"}).code, 5);
}

TEST_F(ReadVerbs, AStaleSocketFileIsNobodyToo) {
    server.shut();
    FakeServer other;
    std::filesystem::create_symlink(other.directory() + "/none", server.socket_path());
    EXPECT_EQ(cli({"status"}).code, 5);
}

TEST_F(ReadVerbs, TheSocketOptionBeatsTheEnvironment) {
    FakeServer other;
    other.on("GET /api/status", 200, status_with(unit_json("other", "running", "healthy")));
    EXPECT_THAT(cli({"status", "--socket", other.socket_path()}).out, HasSubstr("other"));
}

TEST_F(ReadVerbs, WithoutPermissionTheStatusFileIsReadAndThatIsSaid) {
    std::ofstream(server.directory() + "/status.json")
        << status_with(unit_json("web", "running", "healthy"));
    chmod(server.directory().c_str(), 0755);
    chmod(server.socket_path().c_str(), 0);
    const NotRoot guard;
    const Ran ran = cli({"status"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_THAT(ran.out, HasSubstr("web"));
    EXPECT_THAT(ran.err, HasSubstr("status.json, written 10s ago"));
    EXPECT_EQ(cli({"health"}).code, 0);
    EXPECT_EQ(cli({"checks"}).code, 0);
    const Ran stop = cli({"stop", "web"});
    EXPECT_EQ(stop.code, 1);
    EXPECT_THAT(stop.err, HasSubstr("Permission denied"));
}

TEST_F(ReadVerbs, WhyResolvesNamesAndTellsTheStory) {
    server.on("GET /api/status", 200, status_with(unit_json("web", "running", "healthy")));
    server.on("GET /api/why/web", 200, read_file("why.json"));
    const Ran ran = cli({"why", "w*"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.out, HasSubstr("http 503 in 12 ms (1/3)"));
    EXPECT_THAT(ran.out, HasSubstr("next: backoff and budget reset"));
    EXPECT_THAT(cli({"why", "-n", "1", "web"}).out, Not(HasSubstr("http 503 in")));
}

TEST_F(ReadVerbs, ExplainPrintsThePolicy) {
    server.on("GET /api/status", 200, status_with(unit_json("web", "running", "healthy")));
    server.on("GET /api/explain/web", 200,
              R"({"service":"web","policy":"web","lines":[{"topic":"trip","text":"3 failed"}]})");
    EXPECT_EQ(cli({"explain", "web"}).out, "policy web\n  trip      3 failed\n");
}

TEST_F(ReadVerbs, EventsShowsTheNewest) {
    server.on("GET /api/events", 200,
              R"({"events":[{"sequence":1,"time":"2025-10-27T12:00:00.000Z","service":"a",
                 "kind":"start","subject":"","text":"pid 1","detail":""},{"sequence":2,
                 "time":"2025-10-27T12:00:01.000Z","service":"b","kind":"check",
                 "subject":"http","text":"http 503","detail":"x"}],"last":2})");
    const Ran ran = cli({"events", "-n", "1"});
    EXPECT_EQ(ran.code, 0);
    EXPECT_THAT(ran.out, HasSubstr("check http    http 503  \"x\""));
    EXPECT_THAT(ran.out, Not(HasSubstr("pid 1")));
}

TEST_F(ReadVerbs, LogsArePrintedRawInAPipeAndSafelyOnATerminal) {
    server.on("GET /api/status", 200,
              status_with(unit_json("a", "running", "healthy") + "," +
                          unit_json("b", "running", "healthy")));
    server.on("GET /api/runtime", 200, "{\"log_dir\":\"" + server.directory() + "\"}");
    std::ofstream(server.directory() + "/a.log") << "1\n2\n3 \x1b[2J\n";
    EXPECT_EQ(cli({"logs", "-n", "2", "a"}).out, "2\n3 \x1b[2J\n");
    EXPECT_EQ(cli({"logs", "-n", "1", "a"}, terminal(80)).out, "3 \\x1b[2J\n");
    EXPECT_EQ(cli({"logs", "-n", "1"}).out, "a | 3 \x1b[2J\n");
    EXPECT_EQ(cli({"logs", "nobody"}).code, 4);
}

TEST_F(ReadVerbs, AnAnswerThatIsNoJsonIsAnErrorNotACrash) {
    server.on("GET /api/status", 200, "<html>");
    EXPECT_EQ(cli({"status"}).code, 1);
    server.on("GET /api/status", 500, R"({"status":"error","error":"no \u001b[2J luck"})");
    const Ran ran = cli({"status"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.err, "keepwell: no \\x1b[2J luck\n");
}

TEST(Version, IsPrintedAlsoAsJson) {
    EXPECT_THAT(run({"version"}).out, StartsWith("keepwell "));
    EXPECT_THAT(run({"version", "--json"}).out, StartsWith("{\"version\":\""));
}

} // namespace
} // namespace keepwell::cli
