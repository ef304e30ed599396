#include "supervisor/engine/timeline.h"

#include "tests/support/virtual_time.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace keepwell;
using namespace keepwell::test;
using nlohmann::json;

namespace {

struct TimelineTest : testing::Test {
    VirtualClock clock;
    std::vector<std::string> saved;
    Timeline timeline{clock, [](UnitIndex) { return std::string("db"); },
                      [this](std::string l) { saved.push_back(std::move(l)); }};
    UnitSpec spec;
    UnitRecord record;

    TimelineTest() {
        spec.key = "web";
        CheckSpec c;
        c.id = "http";
        spec.checks.push_back(c);
        record = initial_record(spec, clock.now());
    }
    void step_with(const Event& e, EventText text = {}) {
        const UnitRecord before = record;
        Step s = step(spec, record, e, clock.now(), 0.5);
        record = s.record;
        timeline.record({0, spec, before, record, e, text, s.effects, true});
    }
    void run() {
        step_with(event::Start{}, {"", "autostart", -1});
        step_with(event::Spawned{1, 4711});
        clock.jump(1s);
        step_with(event::Timer{TimerKind::Ready});
        check(CheckOutcome::Pass);
    }
    void check(CheckOutcome outcome, const char* text = "http 200") {
        step_with(event::CheckResult{record.generation, 0, outcome,
                                     outcome == CheckOutcome::Pass ? 200 : 503, true, true,
                                     CheckEffect::Down, false},
                  {text, "", 12});
    }
    json why() { return json::parse(timeline.why_json("web", "nothing")); }
};

} // namespace

TEST_F(TimelineTest, AStartThatWentWellIsAStoryWithoutTrouble) {
    run();
    const json w = why();
    ASSERT_EQ(w["incidents"].size(), 1U);
    EXPECT_EQ(w["incidents"][0]["outcome"], "healthy");
    EXPECT_EQ(w["incidents"][0]["trouble"], false);
    EXPECT_FALSE(timeline.last_incident());
}

TEST_F(TimelineTest, FailuresAreToldWithTheirCountAndText) {
    run();
    clock.jump(60s);
    check(CheckOutcome::Fail, "http 503");
    const json line = why()["incidents"].back()["lines"][0];
    EXPECT_EQ(line["kind"], "check");
    EXPECT_EQ(line["subject"], "http");
    EXPECT_EQ(line["text"], "http 503 in 12ms (1/3)");
}

TEST_F(TimelineTest, AnIncidentLastsFromTheTripToHealthyAgain) {
    run();
    clock.jump(60s);
    for (int i = 0; i < 3; ++i) check(CheckOutcome::Fail, "http 503");
    EXPECT_EQ(record.state, State::Stopping);
    ASSERT_TRUE(timeline.last_incident());
    EXPECT_EQ(timeline.last_incident()->until.ms, 0);
    step_with(event::Exited{1, ExitStatus{true, 0, 15, false, false}});
    step_with(event::TreeEmpty{1});
    clock.jump(1s);
    step_with(event::Timer{TimerKind::Retry});
    step_with(event::Spawned{2, 4712});
    clock.jump(1s);
    step_with(event::Timer{TimerKind::Ready});
    check(CheckOutcome::Pass);
    const json story = why()["incidents"].back();
    EXPECT_EQ(story["outcome"], "healthy");
    EXPECT_EQ(story["trouble"], true);
    EXPECT_DOUBLE_EQ(story["duration_s"], 2.0);
    EXPECT_NE(timeline.last_incident()->until.ms, 0);
}

TEST_F(TimelineTest, EventsAfterASequenceMissNothingAndRepeatNothing) {
    for (int i = 0; i < 10; ++i) timeline.add("", "audit", "line " + std::to_string(i));
    json page = json::parse(timeline.events_json(3, 4));
    EXPECT_EQ(page["events"].size(), 4U);
    EXPECT_EQ(page["events"][0]["sequence"], 4);
    EXPECT_EQ(page["last"], 7);
    page = json::parse(timeline.events_json(page["last"], 4));
    EXPECT_EQ(page["events"][0]["sequence"], 8);
    page = json::parse(timeline.events_json(page["last"], 4));
    EXPECT_EQ(page["events"].size(), 0U);
    EXPECT_EQ(page["last"], 10);
}

TEST_F(TimelineTest, MemoryIsBounded) {
    for (int i = 0; i < 10'000; ++i) timeline.add("web", "log", "x");
    const json all = json::parse(timeline.events_json(0, 100'000));
    EXPECT_EQ(all["events"].size(), 4096U);
    EXPECT_EQ(saved.size(), 10'000U);
}

TEST_F(TimelineTest, TheOldestStoriesOfAllGoFirstButNeverTheLastOfAUnit) {
    // 400 units, 8 stories each with 10 lines: four times what is kept.
    std::uint64_t sequence = 0, story = 0;
    for (int round = 0; round < 8; ++round)
        for (int unit = 0; unit < 400; ++unit) {
            ++story;
            for (int i = 0; i < 10; ++i) {
                TimelineLine line;
                line.sequence = ++sequence;
                line.time = WallTime{static_cast<std::int64_t>(sequence)};
                line.service = "u" + std::to_string(unit);
                line.kind = "check";
                line.text = "failed";
                line.story = story;
                line.outcome = i == 9 ? "healthy" : "";
                timeline.restore(line);
            }
        }
    std::size_t lines = 0;
    for (int unit = 0; unit < 400; ++unit) {
        const json told = json::parse(timeline.why_json("u" + std::to_string(unit), ""));
        ASSERT_FALSE(told["incidents"].empty());
        const auto last = told["incidents"].back();
        EXPECT_EQ(last["id"], std::to_string(7 * 400 + unit + 1));
        for (const auto& s : told["incidents"]) lines += s["lines"].size();
    }
    EXPECT_LE(lines, 8192U);
    EXPECT_GE(lines, 7000U);
}
