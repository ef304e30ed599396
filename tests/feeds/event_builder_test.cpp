#include "supervisor/feeds/event_builder.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace keepwell::feeds {
namespace {

using nlohmann::json;

struct Parts {
    std::string name, id;
    json data;
};

Parts parts(const StreamEvent& event) {
    Parts p;
    std::string_view rest = event.bytes;
    EXPECT_TRUE(rest.ends_with("\n\n"));
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        const auto line = rest.substr(0, end);
        if (line.starts_with("event: ")) p.name = line.substr(7);
        if (line.starts_with("id: ")) p.id = line.substr(4);
        if (line.starts_with("data: ")) p.data = json::parse(line.substr(6));
        rest.remove_prefix(end + 1);
    }
    return p;
}

EventBuilder builder() { return {"boot1", {}, WallTime{1'761'566'400'000}}; }

TEST(EventBuilder, GroupsLinesByUnit) {
    auto b = builder();
    b.add("web", "1");
    b.add("db", "2");
    b.add("web", "3");
    const auto events = b.take();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0]->lines, 3U);
    const Parts p = parts(*events[0]);
    EXPECT_EQ(p.name, "");
    EXPECT_EQ(p.data["logs"], (json{{"web", {1, 3}}, {"db", {2}}}));
    EXPECT_EQ(p.data["lastUpdate"], "2025-10-27T12:00:00.000Z");
}

TEST(EventBuilder, HasAtMostTwoHundredLinesInAnEventEachWithThePlaceBehindIt) {
    auto b = builder();
    for (std::uint64_t i = 1; i <= 450; ++i) {
        b.add("web", std::to_string(i));
        b.move_to(7, {{1, 2, i, {}}, i});
    }
    const auto events = b.take();
    ASSERT_EQ(events.size(), 3U);
    std::size_t lines = 0;
    for (const auto& event : events) {
        lines += event->lines;
        const std::string id = parts(*event).id;
        ASSERT_TRUE(id.starts_with("boot1-"));
        const auto cursor = decode_cursor(id.substr(6));
        ASSERT_TRUE(cursor);
        EXPECT_EQ(cursor->places.at(7).at.offset, lines);
    }
    EXPECT_EQ(lines, 450U);
}

TEST(EventBuilder, BeginsAnotherEventRatherThanALargeOne) {
    auto b = builder();
    for (int i = 0; i < 4; ++i) b.add("web", json(std::string(100'000, 'x')).dump());
    for (const auto& event : b.take()) EXPECT_LE(event->bytes.size(), kMostEventBytes + 1000);
}

TEST(EventBuilder, AGapComesBeforeWhatFollowsItAndHasNoId) {
    auto b = builder();
    b.gap(12, "rotated", {"web"});
    b.gap(std::nullopt, "slow", {});
    b.add("web", "1");
    const auto events = b.take();
    ASSERT_EQ(events.size(), 3U);
    const Parts known = parts(*events[0]);
    EXPECT_EQ(known.name, "gap");
    EXPECT_EQ(known.id, "");
    EXPECT_EQ(known.data, (json{{"lines", 12}, {"reason", "rotated"}, {"daemons", {"web"}}}));
    EXPECT_TRUE(parts(*events[1]).data["lines"].is_null());
}

TEST(EventBuilder, AHeartbeatHasAPlaceAndMayBeLeftOut) {
    auto b = builder();
    b.heartbeat();
    const auto events = b.take();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_FALSE(events[0]->essential);
    EXPECT_EQ(parts(*events[0]).name, "heartbeat");
    EXPECT_FALSE(parts(*events[0]).id.empty());
}

} // namespace
} // namespace keepwell::feeds
