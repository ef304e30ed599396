#include "supervisor/cli/top_model.h"
#include "tests/cli/support.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class TopView : public testing::Test {
  protected:
    void SetUp() override {
        setenv("TZ", "UTC", 1);
        tzset();
        model.status(Json::parse(read_file("fleet.json")).value(), kNow);
    }
    std::vector<std::string> lines(int width, int height = 24) {
        Style style = terminal(width);
        style.height = height;
        return model.lines(kNow, style);
    }
    std::string screen(int width = 100) {
        std::string out;
        for (const auto& line : lines(width)) out += line + "\n";
        return out;
    }
    Wish press(const std::vector<std::string>& names) {
        Wish last;
        for (const auto& name : names) last = model.key(name);
        return last;
    }
    // The first column of the rows of units.
    std::vector<std::string> order() {
        std::vector<std::string> out;
        const auto all = lines(200);
        std::size_t i = 0;
        while (i < all.size() && all[i].find("NAME") == std::string::npos) ++i;
        for (++i; i + 1 < all.size() && !all[i].empty(); ++i) {
            std::string line = all[i];
            if (line.starts_with("\x1b[7m")) line.erase(0, 4);
            line = line.substr(line.find(' ') + 1);
            out.push_back(line.substr(0, line.find(' ')));
        }
        return out;
    }
    TopModel model{TopSort::State, {}};
};

TEST_F(TopView, FitsTheScreenAtEveryWidth) {
    for (const int width : {20, 40, 80, 200}) {
        const auto all = lines(width, 12);
        EXPECT_EQ(all.size(), 12U);
        for (std::string line : all) {
            if (line.starts_with("\x1b[7m")) line = line.substr(4, line.size() - 8);
            EXPECT_LE(display_width(line), std::max(width, 60)) << line;
        }
    }
}

TEST_F(TopView, ProblemsComeFirstWhateverTheOrder) {
    const auto first = order().front();
    for (const char* sort : {"n", "c", "m", "t", "s"}) {
        (void)press({sort});
        const auto rows = order();
        EXPECT_EQ(rows.size(), 9U);
        const Json unit = Json::parse(read_file("fleet.json")).value()["services"][rows.front()];
        EXPECT_NE(unit["health"]["status"].text(), "healthy") << sort;
    }
    EXPECT_EQ(order().front(), first);
    (void)press({"n", "p"});
    auto sorted = order();
    EXPECT_TRUE(std::is_sorted(sorted.begin(), sorted.end()));
}

TEST_F(TopView, AFilterNarrowsAndEscapeShowsAll) {
    (void)press({"/", "w", "o", "r"});
    EXPECT_THAT(screen(), HasSubstr("show only: wor_"));
    EXPECT_THAT(order(), testing::Each(testing::StartsWith("wor")));
    (void)press({"enter", "escape"});
    EXPECT_EQ(order().size(), 9U);
    (void)press({"/", "z", "z", "z"});
    EXPECT_THAT(screen(), HasSubstr("nothing matches"));
    (void)press({"backspace", "backspace", "backspace"});
    EXPECT_EQ(order().size(), 9U);
}

TEST_F(TopView, ARestartIsAskedForAndCanBeDeclined) {
    const std::string chosen = order().front();
    EXPECT_EQ(press({"r"}).kind, Wish::Kind::None);
    EXPECT_THAT(screen(), HasSubstr("restart " + chosen + "? y / n"));
    EXPECT_EQ(press({"n"}).kind, Wish::Kind::None);
    EXPECT_THAT(screen(), HasSubstr("not restarted"));
    const Wish wish = press({"down", "r", "y"});
    EXPECT_EQ(wish.kind, Wish::Kind::Restart);
    EXPECT_EQ(wish.unit, order()[1]);
}

TEST_F(TopView, AStoryIsShownAndLeft) {
    EXPECT_EQ(press({"w"}).kind, Wish::Kind::Why);
    model.story("one\ntwo\n");
    EXPECT_THAT(screen(), HasSubstr("one\ntwo"));
    EXPECT_EQ(press({"q"}).kind, Wish::Kind::None);
    EXPECT_EQ(press({"q"}).kind, Wish::Kind::Leave);
}

TEST_F(TopView, SilenceIsSaidWithItsBeginningAndTheLastTableStays) {
    model.silent("no answer");
    EXPECT_THAT(screen(), HasSubstr("supervisor is silent since 12:00:00"));
    EXPECT_EQ(order().size(), 9U);
    model.status(Json::parse(read_file("fleet.json")).value(), kNow);
    EXPECT_THAT(screen(), Not(HasSubstr("silent")));
}

TEST_F(TopView, ProblemsSayWhatWasSeenAndWhatComesNext) {
    const std::string text = screen(200);
    EXPECT_THAT(text, HasSubstr("2 services down, 1 degraded, 1 waiting. keepwell is on it: next "
                                "try in 8s."));
    EXPECT_THAT(text, HasSubstr("runner  down · backoff  no process matches ghost-runner.js"));
    EXPECT_THAT(text, HasSubstr("Restart 4 of 10 in 8s; keepwell restart runner tries at once"));
    EXPECT_LT(text.find("Restart 4 of 10"), text.find("NAME")) << "above the table";
}

TEST_F(TopView, WhatIsOnlyWatchedWaitsForNobody) {
    model.status(Json::parse(R"({"services":{"a":{"key":"a","kind":"match","heal":false,"state":)"
                             R"("failed","desired_state":"running","health":{"status":"down"}}}})")
                     .value(),
                 kNow);
    const std::string text = screen(200);
    EXPECT_THAT(text, HasSubstr("Only watched: it is up again when its process is there"));
    EXPECT_THAT(text, HasSubstr("keepwell watches it."));
    EXPECT_THAT(text, Not(HasSubstr("keepwell start a")));
    model.status(Json::parse(R"({"services":{"a":{"key":"a","kind":"child","heal":true,"state":)"
                             R"("failed","desired_state":"running","health":{"status":"down"}}}})")
                     .value(),
                 kNow);
    EXPECT_THAT(screen(), HasSubstr("Given up: keepwell why a, then keepwell start a"));
}

TEST_F(TopView, WhatDoesNotFitIsCountedAndASmallScreenIsTheTableAlone) {
    std::string text;
    for (const auto& line : lines(80, 24)) text += line + "\n";
    EXPECT_THAT(text, HasSubstr("2 more, below"));
    for (const auto& line : lines(80, 11)) EXPECT_THAT(line, Not(HasSubstr("services down")));
}

TEST_F(TopView, EveryProblemIsShownWhereThereIsRoom) {
    std::string text;
    for (const auto& line : lines(120, 60)) text += line + "\n";
    EXPECT_THAT(text, HasSubstr("Web front  waiting  needs db (starting)"));
    EXPECT_THAT(text, HasSubstr("Starts by itself when db is healthy"));
    EXPECT_THAT(text, HasSubstr("shop:prod  degraded  http slow: 1.8s > 1s"));
    EXPECT_THAT(text, HasSubstr("keepwell why shop:prod tells what was seen"));
    EXPECT_THAT(text, Not(HasSubstr("more, below")));
}

TEST_F(TopView, WithoutProblemsOneCalmLine) {
    model.status(Json::parse(R"({"services":{"a":{"key":"a","state":"running","health":{"status":)"
                             R"("healthy"}},"b":{"key":"b","state":"running","health":{"status":)"
                             R"("healthy"}}}})")
                     .value(),
                 kNow);
    EXPECT_THAT(screen(), HasSubstr("All 2 services are well. Nothing needs you."));
}

TEST_F(TopView, ForeignTextCannotSteerTheTerminal) {
    model.status(
        Json::parse(
            R"({"services":{"a\u001b[2J":{"key":"a\u001b[2J","reason":"\u001b]0;x\u0007"}}})")
            .value(),
        kNow);
    std::string text = screen();
    EXPECT_THAT(text, Not(HasSubstr("\x1b[2J")));
    EXPECT_THAT(text, Not(HasSubstr("\x1b]0")));
}

} // namespace
} // namespace keepwell::cli
