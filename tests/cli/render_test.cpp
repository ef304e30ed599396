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

TEST_F(Render, AReloadSaysWhatChanges) {
    const Json diff = Json::parse(R"({"added":["a"],"removed":[],"restarted":["b","c"],"updated":[],
                        "unchanged":["d"],"frozen":["log_dir"],"warnings":["w"]})")
                          .value();
    EXPECT_EQ(render_reload(diff, true, {}),
              "a reload would do this\n  would add   a\n  would restart  b, c\n  needs run   "
              "log_dir\n  unchanged   1 unit\nwarning: w\n");
    EXPECT_THAT(render_reload(Json{}, false, {}), HasSubstr("nothing changed"));
}

} // namespace
} // namespace keepwell::cli
