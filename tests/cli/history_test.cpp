#include "supervisor/cli/render_history.h"
#include "tests/cli/support.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kFrom = 1'769'857'200'000; // 2026-01-31T11:00:00Z

std::string point(int minute, double ok, double down, const std::string& figures) {
    return fmt::format(R"({{"time":"{}","ok_s":{},"degraded_s":0,"down_s":{},"unknown_s":0,)"
                       R"("paused_s":0,{},"checks":6,"failures":0,"restarts":{}}})",
                       rfc3339_text(kFrom + minute * 60'000), ok, down, figures, down > 0 ? 1 : 0);
}

// An hour: nothing watched for 20 minutes, then up but for half a minute.
Json hour() {
    const std::string none = R"("latency_ms":null,"cpu_percent":null,"memory_bytes":null)";
    const std::string some = R"("latency_ms":{"min":1,"avg":2,"max":9},"cpu_percent":)"
                             R"({"min":0,"avg":1.5,"max":9},"memory_bytes":{"min":1048576,)"
                             R"("avg":1048576,"max":2097152})";
    std::string points;
    for (int i = 0; i < 60; ++i)
        points += (i == 0 ? "" : ",") + (i < 20    ? point(i, 0, 0, none)
                                         : i == 40 ? point(i, 30, 30, some)
                                                   : point(i, 60, 0, some));
    return Json::parse(R"({"service":"web","range":"1h","step_s":60,"points":[)" + points +
                       R"(],"changes":[],"uptime_ratio":0.9875})")
        .value();
}

struct RenderHistory : testing::Test {
    void SetUp() override {
        setenv("TZ", "UTC", 1);
        tzset();
    }
};

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
}

TEST_F(RenderHistory, SumsUpDrawsAndListsInAPipeWithoutColour) {
    const auto text = lines(render_history(hour(), {}));
    EXPECT_EQ(text[0], "web  last 1h  98.75 % up, down 30s, 1 restart");
    EXPECT_EQ(text[1],
              "  " + std::string(20, '.') + std::string(20, '#') + "D" + std::string(19, '#'));
    EXPECT_THAT(text[4], AllOf(HasSubstr("FROM"), HasSubstr("LATENCY"), HasSubstr("RESTARTS")));
    EXPECT_EQ(text.size(), 5U + 12U);
    EXPECT_THAT(text[5], AllOf(HasSubstr("01-31 11:00"), HasSubstr("no data")));
    EXPECT_THAT(text[13], AllOf(HasSubstr("90.00 %"), HasSubstr("30s"), HasSubstr("2 ms"),
                                HasSubstr("1.5 %"), HasSubstr("2M")));
    for (const auto& line : text) EXPECT_THAT(line, Not(HasSubstr("\x1b")));
}

TEST_F(RenderHistory, FitsEightyColumnsOnATerminal) {
    for (const int width : {80, 60})
        for (const auto& line : lines(render_history(hour(), terminal(width))))
            EXPECT_LE(display_width(line), 80) << line;
    EXPECT_THAT(render_history(hour(), terminal(80)), HasSubstr("█"));
}

TEST_F(RenderHistory, AMomentOfTroubleIsNeverRoundedAway) {
    const Json json = Json::parse(R"({"service":"web","range":"1h","step_s":60,"points":[)" +
                                  point(0, 86'399.9, 0.1, R"("latency_ms":null)") + "]}")
                          .value();
    EXPECT_THAT(render_history(json, {}),
                AllOf(HasSubstr("99.99 % up, down 1s"), HasSubstr("  D\n")));
}

TEST_F(RenderHistory, WithoutDataItSaysSo) {
    const Json json = Json::parse(R"({"service":"web","range":"1h","step_s":60,"points":[)" +
                                  point(0, 0, 0, R"("latency_ms":null)") + "]}")
                          .value();
    EXPECT_THAT(render_history(json, {}), HasSubstr("web  last 1h  no data yet"));
    EXPECT_EQ(render_history(Json::parse("{}").value(), {}), "  no data yet\n");
}

} // namespace
} // namespace keepwell::cli
