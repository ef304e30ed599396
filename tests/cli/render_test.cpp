// What the read verbs print, compared with the texts in golden/. To accept a change that is meant:
// KEEPWELL_UPDATE_GOLDEN=1 cli_test, then read the difference.
#include "supervisor/cli/render.h"
#include "tests/cli/support.h"

#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

Json fixture(const std::string& name) { return Json::parse(read_file(name)).value(); }

void expect_golden(const std::string& name, const std::string& text) {
    if (std::getenv("KEEPWELL_UPDATE_GOLDEN") != nullptr) {
        std::ofstream(std::string(CLI_TEST_DIR) + "/golden/" + name) << text;
    }
    EXPECT_EQ(text, read_file("golden/" + name));
}

class Render : public testing::Test {
  protected:
    void SetUp() override {
        setenv("TZ", "UTC", 1);
        tzset();
    }
    std::string table(const std::string& name, const Style& style) {
        const Json status = fixture(name);
        const auto keys = status["services"].keys();
        return render_table(status, keys, kNow, style, true) + render_counts(status, keys) + "\n";
    }
};

TEST_F(Render, TheTableOfTheFleetOnTerminalsAndInAPipe) {
    expect_golden("fleet-80.txt", table("fleet.json", terminal(80)));
    expect_golden("fleet-200.txt", table("fleet.json", terminal(200)));
    expect_golden("fleet-pipe.txt", table("fleet.json", {}));
    expect_golden("fleet-colour-120.txt", table("fleet.json", terminal(120, true)));
}

TEST_F(Render, TheTableOfTheDesignsExample) {
    expect_golden("example-80.txt", table("status-example.json", terminal(80)));
    expect_golden("example-200.txt", table("status-example.json", terminal(200)));
    expect_golden("example-pipe.txt", table("status-example.json", {}));
}

TEST_F(Render, TheLongBlockOfEachUnitOfTheExample) {
    const Json services = fixture("status-example.json")["services"];
    std::string text;
    for (const auto& key : services.keys()) text += render_unit(services[key], kNow, terminal(80));
    expect_golden("example-units-80.txt", text);
}

TEST_F(Render, TheStoryOfAnIncident) {
    expect_golden("why-pipe.txt", render_why(fixture("why.json"), 3, kNow, {}));
    expect_golden("why-80.txt", render_why(fixture("why.json"), 1, kNow, terminal(80)));
}

TEST_F(Render, TheChecksOfTheExample) {
    const Json checks = checks_of_status(fixture("status-example.json"));
    expect_golden("checks-pipe.txt",
                  render_checks(checks, {"flask_web", "ghost_runner"}, kNow, {}, true));
    EXPECT_THAT(render_checks(checks, {"flask_web"}, kNow, {}, false), Not(HasSubstr("ghost")));
}

TEST_F(Render, InAPipeThereIsNoEscapeAndNoSymbol) {
    const std::string text = table("fleet.json", {}) + render_why(fixture("why.json"), 3, kNow, {});
    for (const char* symbol : {"\x1b", "●", "▲", "✖", "◌", "‖"}) {
        EXPECT_THAT(text, Not(HasSubstr(symbol)));
    }
}

TEST_F(Render, ColourNeverStandsWithoutItsWord) {
    const std::string text = table("fleet.json", terminal(200, true));
    for (const char* word : {"healthy", "degraded", "down", "waiting", "backoff", "paused"}) {
        EXPECT_THAT(text, HasSubstr(word));
    }
}

TEST_F(Render, WithoutUtf8TheSymbolsArePlain) {
    Style style = terminal(80);
    style.utf8 = false;
    const std::string text = table("fleet.json", style);
    for (const char c : text) EXPECT_GE(c, 0) << text;
}

TEST_F(Render, NoIncidentIsSaid) {
    const Json why = Json::parse(R"({"service":"web","incidents":[],"next":""})").value();
    EXPECT_EQ(render_why(why, 3, kNow, {}), "web  no incident on record\n");
}

TEST_F(Render, HealthIsOneLineThatNamesWhatIsWrong) {
    EXPECT_EQ(render_health(fixture("status-example.json")),
              "down: ghost_runner down (no process matches ghost-runner.js)");
    const Json empty = Json::parse(R"({"services":{}})").value();
    EXPECT_EQ(render_health(empty), "healthy: 0 units");
}

TEST_F(Render, AReloadSaysWhatChangesAndWhy) {
    const Json diff = Json::parse(R"j({"added":["a"],"removed":["old"],"restarted":["b"],
        "updated":["c"],"unchanged":["d"],"frozen":["log_dir"],"warnings":["w"],
        "supervisor":["log_level"],
        "changed":{"b":["command","environment"],"c":["check.http (new)"]}})j")
                          .value();
    EXPECT_EQ(
        render_reload(diff, true, {}),
        "a reload would do this\n"
        "  add      a                     new\n"
        "  restart  b                     command, environment\n"
        "  change   c                     check.http (new)\n"
        "  stop     old                   no longer in the configuration\n"
        "  change   supervisor.log_level\n"
        "  keep     supervisor.log_dir    frozen: only a new start of keepwell takes it over\n"
        "  1 unit unchanged\n"
        "  restarts are for what only a new process can take over; the rest goes on running\n"
        "warning: w\n");
    EXPECT_THAT(render_reload(Json{}, false, {}), HasSubstr("nothing changed"));
}

class Graph : public Render {
  protected:
    std::string graph(const Style& style) {
        return render_graph(status, status["services"].keys(), style);
    }
    Json status = Json::parse(R"j({"services":{
        "db":{"state":"running","health":{"status":"down"},"reason":"tcp refused (3/3)"},
        "web":{"state":"waiting","health":{"status":"unknown"},"requires":["db"],"after":["mq"],
               "blocked_by":"db"},
        "mq":{"state":"running","health":{"status":"healthy"},"requires":["db"]},
        "cron":{"state":"running","health":{"status":"healthy"}}}})j")
                      .value();
};

TEST_F(Graph, IsATreeOfNeeds) {
    EXPECT_EQ(graph(terminal(80)), "◌ web  waiting  blocked by db\n"
                                   "├─ ✖ db  running, down  tcp refused (3/3)\n"
                                   "└─ ● mq  running, healthy  (order only)\n"
                                   "   └─ ✖ db  running, down  tcp refused (3/3)\n"
                                   "\nneed nobody\n● cron  running, healthy\n"
                                   "\ndb (running, down) holds back web\n");
    EXPECT_THAT(graph({}), Not(HasSubstr("─")));
}

TEST_F(Graph, AsADocumentAndForGraphviz) {
    const auto keys = status["services"].keys();
    const Json json = Json::parse(graph_json(status, keys)).value();
    EXPECT_EQ(json["units"].items()[1]["requires"].items()[0].text(), "db");
    EXPECT_EQ(json["units"].items()[1]["blocked_by"].text(), "db");
    EXPECT_TRUE(json["units"].items()[0]["blocked_by"].is_null());
    const std::string dot = graph_dot(status, keys);
    EXPECT_THAT(dot, HasSubstr("\"web\" -> \"db\" [color"));
    EXPECT_THAT(dot, HasSubstr("\"web\" -> \"mq\" [style = dashed]"));
}

} // namespace
} // namespace keepwell::cli
