// Answers that go on: pulled, suspended, woken, ended; and the routes of logs.
#include "api_support.h"

#include <cstring>

namespace keepwell::test {
namespace {

class FakeStream final : public feeds::Stream {
  public:
    std::optional<std::size_t> read(char* to, std::size_t size) override {
        ++reads;
        if (text.empty() && ended) return std::nullopt;
        const std::size_t n = std::min(size, text.size());
        std::memcpy(to, text.data(), n);
        text.erase(0, n);
        return n;
    }
    void on_wake(std::function<void()> w) override { wake = std::move(w); }
    void say(const std::string& more) {
        text += more;
        if (wake) wake();
    }
    std::string text = "retry: 3000\n\n";
    bool ended = false;
    int reads = 0;
    std::function<void()> wake;
};

class StreamsTest : public ApiTest {
  protected:
    void SetUp() override {
        ApiTest::SetUp();
        stream = std::make_shared<FakeStream>();
        control.stream = std::shared_ptr<feeds::Stream>(stream);
        control.folder = folder;
    }
    // Reads from a stream until it has that text.
    bool hears(RawClient& client, const std::string& wanted) {
        return until([&] {
            client.turn();
            return client.seen().find(wanted) != std::string::npos;
        });
    }
    std::shared_ptr<FakeStream> stream;
};

TEST_F(StreamsTest, SayWhatThereIsThenWhatComes) {
    RawClient client(path);
    client.send_later(get_text("/api/logs/stream?type=web&level=warn&lines=3"));
    ASSERT_TRUE(hears(client, "retry: 3000"));
    EXPECT_NE(client.seen().find("text/event-stream; charset=utf-8"), std::string::npos);
    EXPECT_NE(client.seen().find("X-Accel-Buffering: no"), std::string::npos);
    ASSERT_EQ(control.followed.size(), 1U);
    EXPECT_EQ(control.followed[0].type, "web");
    EXPECT_EQ(control.followed[0].lines, 3U);
    EXPECT_EQ(control.followed[0].filter.level, LogLevel::Warn);
    for (const std::string wanted : {"data: one", "data: two", "data: three"}) {
        stream->say(wanted + "\n\n");
        ASSERT_TRUE(hears(client, wanted)) << "it was not woken";
    }
}

TEST_F(StreamsTest, ALongTextComesWhole) {
    RawClient client(path);
    client.send_later(get_text("/api/events/stream"));
    ASSERT_TRUE(hears(client, "retry: 3000"));
    stream->say(std::string(1 << 20, 'x') + "the end");
    ASSERT_TRUE(hears(client, "the end"));
}

TEST_F(StreamsTest, TakeTheLastIdFromTheHeaderOrTheQuery) {
    RawClient client(path);
    client.send_later(get_text("/api/logs/stream?last_event_id=b", "Last-Event-ID: a\r\n"));
    ASSERT_TRUE(hears(client, "retry"));
    RawClient other(path);
    other.send_later(get_text("/api/logs/stream?last_event_id=b"));
    ASSERT_TRUE(until([&] { return other.turn() || control.followed.size() == 2; }));
    ASSERT_EQ(control.followed.size(), 2U);
    EXPECT_EQ(control.followed[0].last_id, "a");
    EXPECT_EQ(control.followed[1].last_id, "b");
}

TEST_F(StreamsTest, EndWithTheServerAlsoWhileTheyWait) {
    RawClient client(path);
    client.send_later(get_text("/api/logs/stream"));
    ASSERT_TRUE(hears(client, "retry: 3000"));
    ASSERT_TRUE(until([&] { return stream->reads >= 2; })) << "it is suspended now";
    server.reset();
    EXPECT_TRUE(until([&] {
        client.turn();
        return client.seen().ends_with("0\r\n\r\n");
    }));
}

TEST_F(StreamsTest, AClientThatHangsUpFreesItsStream) {
    {
        RawClient client(path);
        client.send_later(get_text("/api/logs/stream"));
        ASSERT_TRUE(hears(client, "retry: 3000"));
        ASSERT_TRUE(until([&] { return stream->reads >= 2; }));
    }
    control.stream = Error{"", EAGAIN};
    ASSERT_TRUE(until([&] {
        stream->say("event: heartbeat\n\n");
        return stream.use_count() == 1;
    }));
}

TEST_F(StreamsTest, ThatAreTooManyAreRefusedWithWhenToTryAgain) {
    control.stream = Error{"cannot open another stream: 32 are open", EAGAIN};
    const Answer answer = get("/api/logs/stream");
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.header("Retry-After"), "5");
    EXPECT_EQ(answer.document()["code"], "too_many_streams");
}

TEST_F(StreamsTest, AnswerHeadWithoutBeingOpened) {
    const Answer answer = exchange("HEAD /api/logs/stream HTTP/1.1\r\nHost: x\r\n\r\n", true);
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.has("text/event-stream"));
    EXPECT_TRUE(control.followed.empty());
}

TEST_F(StreamsTest, TooManyReadersOfLogsAreToldToComeAgain) {
    control.document = R"({"data":{"logs":{"logs":{}}}})";
    control.no_logs = Error{"cannot read the logs: many others wait", EAGAIN};
    for (const char* target : {"/api/logs", "/api/status?logs=5"}) {
        const Answer answer = get(target);
        EXPECT_EQ(answer.status, 503) << target;
        EXPECT_EQ(answer.document()["code"], "slow");
        EXPECT_EQ(answer.header("Retry-After"), "5");
    }
}

TEST_F(StreamsTest, LogsAreAnsweredWithACursor) {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "line " + std::to_string(i) + "\n";
    std::FILE* const file = std::fopen((folder + "/web.log").c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fputs(text.c_str(), file);
    std::fclose(file);
    const json first = get("/api/logs?type=web").document();
    EXPECT_EQ(first["data"]["logs"].size(), 50U);
    EXPECT_EQ(first["data"]["logs"][0]["message"], "line 10");
    const std::string before = first["cursor"]["before"];
    const json second = get("/api/logs?type=web&before=" + before).document();
    EXPECT_EQ(second["data"]["logs"].size(), 10U);
    EXPECT_TRUE(second["cursor"]["before"].is_null());
    EXPECT_EQ(get("/api/logs?type=all&before=" + before).status, 400);
    EXPECT_EQ(get("/api/logs?type=nobody").status, 404);
    const Answer download = get("/api/logs?type=web&format=text&lines=2");
    EXPECT_TRUE(download.header("Content-Disposition").starts_with("attachment; filename=\"web-"));
    EXPECT_NE(download.body.find(" web line 59\n"), std::string::npos);
}

} // namespace
} // namespace keepwell::test
