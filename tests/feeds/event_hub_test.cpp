#include "supervisor/feeds/event_hub.h"

#include "hub_support.h"

namespace keepwell::feeds {
namespace {

using test::Listener;

class EventHubTest : public testing::Test, protected test::Turns {
  protected:
    std::vector<std::string> statuses, actions;
    int begun = 0;
    EventHub hub{{loop, clock, "boot1", [] { return std::string("{\"version\":\"1\"}"); },
                  [this] {
                      if (statuses.empty()) return std::string();
                      return std::exchange(statuses, {}).back();
                  },
                  [this] { ++begun; }, [this] { return std::exchange(actions, {}); }},
                 {5, 50, 1000}};
};

TEST_F(EventHubTest, GreetsThenTellsWhatChangedOnceToAll) {
    Listener one(hub.follow());
    Listener two(hub.follow());
    EXPECT_TRUE(one.read().starts_with("retry: 3000\n\nevent: hello\nid: boot1-"));
    EXPECT_EQ(begun, 1);
    statuses = {"{\"n\":1}", "{\"n\":2}"};
    hub.changed();
    hub.changed();
    ASSERT_TRUE(until([&] { return one.has("{\"n\":2}") && two.has("{\"n\":2}"); }));
    EXPECT_EQ(one.count("event: status"), 1U);
    actions = {"{\"action_id\":\"a1\"}"};
    hub.changed();
    ASSERT_TRUE(until([&] { return one.has("event: action"); }));
    hub.publish("alert", "{\"alert\":1}");
    ASSERT_TRUE(until([&] { return two.has("event: alert") && two.has("{\"alert\":1}"); }));
}

TEST_F(EventHubTest, BeatsAndEnds) {
    Listener one(hub.follow());
    ASSERT_TRUE(until([&] { return one.has("event: heartbeat"); }));
    hub.end_all();
    one.read();
    EXPECT_TRUE(one.ended);
}

TEST_F(EventHubTest, AsksForNothingWithoutClients) {
    statuses = {"{}"};
    hub.changed();
    uv::Timer later(loop, [] {});
    later.start(20);
    loop.run();
    EXPECT_EQ(statuses.size(), 1U);
}

} // namespace
} // namespace keepwell::feeds
