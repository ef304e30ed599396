#include "supervisor/history/history_json.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace keepwell::history {
namespace {

using nlohmann::json;

constexpr std::int64_t kNoonS = 1'769'860'800;

Story story(Range range, std::int64_t from_s) {
    Story s{"web", range, {}, {}};
    const Cut cut = cut_of(range);
    for (std::int64_t i = 0; i < cut.points; ++i)
        s.points.push_back({WallTime{(from_s + i * cut.step_s) * 1000}, {}});
    return s;
}

TEST(HistoryJson, PointsCarrySecondsAndFiguresInTheUnitsOfTheirNames) {
    Story s = story(Range::Hour, kNoonS);
    RollUp& r = s.points[0].roll_up;
    r.in(Spent::Ok) = 45'000;
    r.in(Spent::Down) = 15'000;
    r.latency_us = {2, 1500, 2500, 4000};
    r.cpu_hundredths = {2, 50, 250, 300};
    r.memory_kib = {1, 4, 4, 4};
    r.checks = 3;
    r.failures = 1;
    r.restarts = 1;
    s.changes.push_back({WallTime{kNoonS * 1000}, "web", "backoff", "down", "exit 1"});
    const json j = json::parse(story_json(s));
    EXPECT_EQ(j["service"], "web");
    EXPECT_EQ(j["range"], "1h");
    EXPECT_EQ(j["step_s"], 60);
    EXPECT_EQ(j["from"], "2026-01-31T12:00:00.000Z");
    EXPECT_EQ(j["to"], "2026-01-31T13:00:00.000Z");
    ASSERT_EQ(j["points"].size(), 60U);
    const json& p = j["points"][0];
    EXPECT_EQ(p["ok_s"], 45.0);
    EXPECT_EQ(p["down_s"], 15.0);
    EXPECT_EQ(p["latency_ms"], json::parse(R"({"min":1.5,"avg":2.0,"max":2.5})"));
    EXPECT_EQ(p["cpu_percent"], json::parse(R"({"min":0.5,"avg":1.5,"max":2.5})"));
    EXPECT_EQ(p["memory_bytes"], json::parse(R"({"min":4096.0,"avg":4096.0,"max":4096.0})"));
    EXPECT_EQ(p["checks"], 3);
    EXPECT_EQ(p["failures"], 1);
    EXPECT_EQ(p["restarts"], 1);
    EXPECT_TRUE(j["points"][1]["latency_ms"].is_null());
    EXPECT_EQ(j["uptime_ratio"], 0.75);
    EXPECT_EQ(j["changes"][0]["health"], "down");
}

TEST(HistoryJson, WithoutDataTheRatioIsNull) {
    EXPECT_TRUE(json::parse(story_json(story(Range::Quarter, kNoonS)))["uptime_ratio"].is_null());
}

TEST(HistoryJson, TheRunningMinuteBelongsToThePointItLiesIn) {
    Story s = story(Range::Week, kNoonS);
    RollUp r;
    r.in(Spent::Ok) = 30'000;
    add_running(s, {"web", (kNoonS + 3600 + 59 * 60) / 60, r});
    EXPECT_TRUE(s.points[0].roll_up.empty());
    EXPECT_EQ(s.points[1].roll_up, r);
    EXPECT_TRUE(s.points[2].roll_up.empty());
    add_running(s, {"web", kNoonS / 60 - 1, r}); // the clock was set back: in no point
    EXPECT_TRUE(s.points[0].roll_up.empty());
}

TEST(HistoryJson, ASetBackClockDoesNotMakeAPointLongerThanItIs) {
    Story s = story(Range::Hour, kNoonS);
    s.points[0].roll_up.in(Spent::Ok) = 90'000;
    s.points[0].roll_up.in(Spent::Down) = 30'000;
    const json p = json::parse(story_json(s))["points"][0];
    EXPECT_EQ(p["ok_s"], 45.0);
    EXPECT_EQ(p["down_s"], 15.0);
}

TEST(Ranges, AreTheFourOfTheApi) {
    for (const char* name : {"1h", "24h", "7d", "90d"}) {
        const auto range = parse_range(name);
        ASSERT_TRUE(range) << name;
        EXPECT_EQ(cut_of(*range).name, name);
    }
    EXPECT_FALSE(parse_range("2h"));
    EXPECT_FALSE(parse_range(""));
}

} // namespace
} // namespace keepwell::history
