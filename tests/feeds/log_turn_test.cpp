// What a turn does away from the loop: reads, redacts, filters, and ends when it has read enough.
#include "supervisor/feeds/log_turn.h"

#include "feed_support.h"

namespace keepwell::feeds {
namespace {

struct Turns {
    explicit Turns(const std::vector<std::string>& keys) {
        topic->type = "all";
        topic->places = std::make_shared<const LogPlaces>(folder.places(keys));
        for (const FeedSource& source : topic->places->sources) {
            topic->followers.push_back(std::make_shared<Follower>());
            topic->followers.back()->source = source;
            topic->followers.back()->id = source_id(source);
        }
    }
    LogTurn turn(const std::vector<FollowerPtr>& followers) {
        LogTurn t;
        t.boot = "boot1";
        t.log_dir = folder.path();
        t.number = ++number;
        t.now = WallTime{1'761'566'400'000};
        t.redactor = Redactor::compile({"secret"}).value();
        t.followers = followers;
        t.topics.push_back({topic, {}});
        return t;
    }
    static std::string text(const std::vector<EventPtr>& events) {
        std::string all;
        for (const auto& event : events) all += event->bytes;
        return all;
    }
    JoinPtr join(const std::optional<FeedCursor>& from) const {
        auto join = std::make_shared<Join>();
        join->client = client;
        join->topic = topic;
        join->backlog = 10;
        join->from = from;
        return join;
    }
    test::LogFolder folder;
    TopicPtr topic = std::make_shared<Topic>();
    std::uint64_t number = 0, writes = 1;
    std::shared_ptr<StreamClient> client = std::make_shared<StreamClient>(
        StreamClient::Options{}, writes, std::make_shared<StreamCounts>());
};

TEST(LogTurn, MakesTheEventsOfThoseThatAreThereAndOfThoseThatCome) {
    Turns t({"web"});
    t.topic->filter.literal = Literal("wanted");
    t.folder.write("web", "wanted old secret\nother\n");
    LogTurn first = t.turn(t.topic->followers);
    first.run();
    const FeedCursor from = places_of(*t.topic, false, first.now);
    t.folder.write("web", "wanted new secret\nother\n");
    LogTurn second = t.turn(t.topic->followers);
    second.joins = {t.join(from), t.join({})};
    second.run();
    ASSERT_EQ(second.joins.size(), 2U);
    for (const auto* events : {&second.topics[0].events, &second.joins[0]->events}) {
        EXPECT_NE(Turns::text(*events).find("\"wanted new [redacted]\""), std::string::npos);
        EXPECT_EQ(Turns::text(*events).find("other"), std::string::npos);
        EXPECT_EQ(Turns::text(*events).find("old"), std::string::npos);
    }
    const std::string backlog = Turns::text(second.joins[1]->events);
    EXPECT_NE(backlog.find("wanted old"), std::string::npos);
    EXPECT_NE(backlog.find("wanted new"), std::string::npos);
    for (const auto& join : second.joins) EXPECT_TRUE(join->place);
}

TEST(LogTurn, EndsWhenItHasReadEnoughAndLosesNothing) {
    std::vector<std::string> keys;
    keys.reserve(20);
    for (int i = 0; i < 20; ++i) keys.push_back("unit" + std::to_string(i));
    Turns t(keys);
    LogTurn open = t.turn(t.topic->followers);
    open.run();
    EXPECT_TRUE(open.late.empty());
    for (const auto& f : t.topic->followers) f->clear_fresh();
    const std::string lines = std::string(999, 'x') + "\n";
    for (const auto& key : keys) {
        std::string all;
        for (int i = 0; i < 1000; ++i) all += lines;
        t.folder.write(key, all);
    }
    std::vector<FollowerPtr> rest = t.topic->followers;
    std::size_t told = 0, turns = 0;
    while (!rest.empty() && turns < 20) {
        LogTurn turn = t.turn(rest);
        turn.joins = {t.join({}), t.join({}), t.join({})};
        turn.run();
        ++turns;
        EXPECT_LT(turn.late.size(), rest.size());
        EXPECT_EQ(turn.joins.size() + turn.late_joins.size(), 3U);
        EXPECT_FALSE(turn.joins.empty());
        for (const auto& event : turn.topics[0].events) told += event->lines;
        rest = turn.late;
        for (const auto& f : turn.followers) {
            if (f->more) rest.push_back(f);
            f->clear_fresh();
        }
    }
    EXPECT_EQ(told, 20'000U);
    EXPECT_GT(turns, 2U);
}

} // namespace
} // namespace keepwell::feeds
