#include "supervisor/feeds/log_hub.h"

#include "feed_support.h"
#include "hub_support.h"

#include <cerrno>
#include <optional>

namespace keepwell::feeds {
namespace {

using test::Listener;

class LogHubTest : public testing::Test, protected test::Turns {
  protected:
    LogHubTest() { begin("boot1"); }
    void begin(const std::string& boot) {
        LogHub::Options options;
        options.turn_ms = 5;
        options.heartbeat_ms = 50;
        options.look_ms = 20;
        options.refresh_ms = 40;
        options.client_bytes = 20'000;
        hub.emplace(LogHub::Ports{loop, clock,
                                  [this](const std::string& type) -> Result<LogPlaces> {
                                      if (type == "nobody") return Error{"no such", ENOENT};
                                      LogPlaces places = folder.places(
                                          type == "all" ? std::vector<std::string>{"web", "db"}
                                                        : std::vector<std::string>{type});
                                      places.redact = redact;
                                      return places;
                                  },
                                  boot, [this](const std::string& text) { said.push_back(text); }},
                    options);
    }
    Listener follow(const std::string& type, const std::string& last_id = "",
                    std::size_t lines = 10) {
        FollowQuestion question;
        question.type = type;
        question.lines = lines;
        question.last_id = last_id;
        auto client = hub->follow(std::move(question));
        EXPECT_TRUE(client) << client.error().message;
        return Listener(client ? *client : nullptr);
    }
    test::LogFolder folder;
    std::vector<std::string> redact = {"secret"}, said;
    std::optional<LogHub> hub;
};

TEST_F(LogHubTest, GivesTheBacklogThenWhatIsNew) {
    folder.lines("web", 0, 30);
    Listener web = follow("web");
    ASSERT_TRUE(until([&] { return web.has("\"line 29\""); }));
    EXPECT_EQ(web.count("\"message\""), 10U);
    folder.write("web", "a secret line\n");
    ASSERT_TRUE(until([&] { return web.has("\"a [redacted] line\""); }));
    EXPECT_EQ(web.count("\"message\""), 11U);
}

TEST_F(LogHubTest, GoesOnForOneThatComesBackAlsoToAnotherSupervisor) {
    folder.lines("web", 0, 5);
    std::string id;
    {
        Listener all = follow("all");
        ASSERT_TRUE(until([&] { return all.has("\"line 4\""); }));
        id = all.last_id();
    }
    folder.lines("web", 5, 10);
    folder.rotate("web");
    folder.lines("web", 10, 15);
    folder.lines("db", 0, 3, "row");
    for (const bool another : {false, true}) {
        if (another) begin("boot2");
        Listener all = follow("all", id);
        ASSERT_TRUE(until([&] { return all.has("\"line 14\"") && all.has("\"row 2\""); }));
        EXPECT_EQ(all.count("\"message\""), 13U);
        EXPECT_EQ(all.count("event: gap"), 0U);
    }
}

TEST_F(LogHubTest, RefusesAnIdThatIsNoneOrOfAnotherStream) {
    Listener web = follow("web");
    ASSERT_TRUE(until([&] { return !web.read().empty() && !web.last_id().empty(); }));
    for (const std::string& bad :
         {std::string("x"), std::string("a-b"), "boot1-" + web.last_id()}) {
        FollowQuestion question;
        question.type = "web";
        question.last_id = bad;
        const auto client = hub->follow(question);
        ASSERT_FALSE(client) << bad;
        EXPECT_EQ(client.error().code, EINVAL);
    }
    FollowQuestion other;
    other.type = "db";
    other.last_id = web.last_id();
    EXPECT_FALSE(hub->follow(other));
}

TEST_F(LogHubTest, ASlowClientGetsAGapAndTheOthersEveryLine) {
    Listener slow = follow("web");
    Listener fast = follow("web");
    ASSERT_TRUE(until([&] { return !fast.read().empty() && !fast.last_id().empty(); }));
    for (int part = 0; part < 10; ++part) {
        folder.lines("web", part * 100, part * 100 + 100);
        const std::string last = "\"line " + std::to_string(part * 100 + 99) + "\"";
        ASSERT_TRUE(until([&] { return fast.has(last); })) << part;
    }
    EXPECT_EQ(fast.count("\"message\""), 1000U);
    EXPECT_EQ(fast.count("event: gap"), 0U);
    ASSERT_TRUE(until([&] { return slow.has("\"line 999\""); }));
    EXPECT_EQ(slow.count("event: gap"), 1U);
    const std::size_t lost = 1000 - slow.count("\"message\"");
    EXPECT_GT(lost, 0U);
    EXPECT_TRUE(slow.has("{\"lines\":" + std::to_string(lost) + ",\"reason\":\"slow\""));
}

TEST_F(LogHubTest, BeatsWithAPlaceThatOneCanComeBackWith) {
    Listener web = follow("web");
    ASSERT_TRUE(until([&] { return web.read().find("heartbeat") != web.text.rfind("heartbeat"); }));
    folder.lines("web", 0, 3);
    Listener again = follow("web", web.last_id());
    ASSERT_TRUE(until([&] { return again.has("\"line 2\""); }));
    EXPECT_EQ(again.count("\"message\""), 3U);
}

TEST_F(LogHubTest, ClientsThatAskForTheSameShareOneEvent) {
    Listener one = follow("web");
    Listener two = follow("web");
    ASSERT_TRUE(until([&] {
        return !one.read().empty() && !two.read().empty() && !one.last_id().empty() &&
               !two.last_id().empty();
    }));
    folder.lines("web", 0, 3);
    ASSERT_TRUE(until([&] { return one.has("\"line 2\"") && two.has("\"line 2\""); }));
    EXPECT_EQ(hub->counts().clients, 2U);
    EXPECT_EQ(one.text.substr(one.text.find("\"line 0\"")).substr(0, 60),
              two.text.substr(two.text.find("\"line 0\"")).substr(0, 60));
}

TEST_F(LogHubTest, ShowsNothingThatItCannotRedact) {
    Listener web = follow("web");
    ASSERT_TRUE(until([&] { return !web.read().empty() && !web.last_id().empty(); }));
    redact = {"secret", "("};
    ASSERT_TRUE(until([&] { return !said.empty(); })) << "those that are there go on as before";
    EXPECT_TRUE(said[0].starts_with("cannot follow the logs: supervisor.api.redact"));
    folder.write("web", "a secret line\n");
    ASSERT_TRUE(until([&] { return web.has("\"a [redacted] line\""); }));
    EXPECT_EQ(said.size(), 1U);
    FollowQuestion question;
    question.type = "db";
    EXPECT_FALSE(hub->follow(question));
    begin("boot2");
    EXPECT_FALSE(hub->follow(question)) << "there never was anything else to redact with";
}

TEST_F(LogHubTest, BeginsNoLineInItsMiddle) {
    folder.write("web", std::string(2 * kMaxLogLine, 'x') + " a se");
    Listener web = follow("web", "", 1);
    ASSERT_TRUE(until([&] { return !web.read().empty() && !web.last_id().empty(); }));
    folder.write("web", "cret is told\nanother\n");
    ASSERT_TRUE(until([&] { return web.has("\"another\""); }));
    EXPECT_FALSE(web.has("cret is told"));
}

TEST_F(LogHubTest, EndsItsStreams) {
    Listener web = follow("web");
    ASSERT_TRUE(until([&] { return !web.read().empty(); }));
    hub->end_all();
    ASSERT_TRUE(until([&] {
        web.read();
        return web.ended;
    }));
}

} // namespace
} // namespace keepwell::feeds
