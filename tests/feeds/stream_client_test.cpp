#include "supervisor/feeds/stream_client.h"

#include <gtest/gtest.h>

namespace keepwell::feeds {
namespace {

struct Reader {
    explicit Reader(std::size_t most_bytes = 1000) {
        StreamClient::Options options;
        options.most_bytes = most_bytes;
        options.gap = [](std::size_t events, std::size_t lines) {
            return "gap " + std::to_string(events) + "/" + std::to_string(lines) + "\n";
        };
        client = std::make_unique<StreamClient>(std::move(options), turn, counts);
        client->on_wake([this] { ++woken; });
    }
    void push(std::string text, std::size_t lines = 1, bool essential = true) const {
        client->push(std::make_shared<StreamEvent>(StreamEvent{std::move(text), lines, essential}));
    }
    std::string read(std::size_t size = 10'000) const {
        std::string out(size, '\0');
        out.resize(client->read(out.data(), size).value_or(0));
        return out;
    }
    std::uint64_t turn = 1;
    int woken = 0;
    std::shared_ptr<StreamCounts> counts = std::make_shared<StreamCounts>();
    std::unique_ptr<StreamClient> client;
};

TEST(StreamClient, BeginsWithHowSoonToComeBack) {
    const Reader reader;
    EXPECT_EQ(reader.read(), "retry: 3000\n\n");
    EXPECT_EQ(reader.read(), "");
}

TEST(StreamClient, WritesOneEventInATurn) {
    Reader reader;
    reader.read();
    reader.push("one\n");
    reader.push("two\n");
    EXPECT_EQ(reader.read(), "one\n");
    EXPECT_EQ(reader.read(), "") << "in the same turn";
    ++reader.turn;
    EXPECT_EQ(reader.read(), "two\n");
}

TEST(StreamClient, GoesOnWithAnEventThatDidNotFit) {
    Reader reader;
    reader.push("0123456789");
    EXPECT_EQ(reader.read(13), "retry: 3000\n\n");
    EXPECT_EQ(reader.read(4), "0123");
    EXPECT_EQ(reader.read(4), "4567");
    EXPECT_EQ(reader.read(4), "89");
}

TEST(StreamClient, LosesTheOldestEventsAndIsToldHowManyLinesOnce) {
    Reader reader(30);
    reader.read();
    for (int i = 0; i < 10; ++i) reader.push("event " + std::to_string(i) + "__", 3);
    EXPECT_EQ(reader.read(), "gap 7/21\nevent 7__");
    EXPECT_EQ(reader.counts->dropped, 7U);
    for (const std::string wanted : {"event 8__", "event 9__", ""}) {
        ++reader.turn;
        EXPECT_EQ(reader.read(), wanted);
    }
}

TEST(StreamClient, NeverCutsAnEventThatItHasBegun) {
    Reader reader(10);
    reader.read();
    reader.push("begun event");
    EXPECT_EQ(reader.read(5), "begun");
    reader.push("lost event!");
    reader.push("last event!");
    EXPECT_EQ(reader.read(), " event");
    ++reader.turn;
    EXPECT_EQ(reader.read(), "gap 1/1\nlast event!");
}

TEST(StreamClient, HearsNoHeartbeatWhileAnythingElseWaits) {
    Reader reader;
    reader.read();
    reader.push("line\n");
    reader.push("beat\n", 0, false);
    EXPECT_EQ(reader.read(), "line\n");
    ++reader.turn;
    EXPECT_EQ(reader.read(), "");
    reader.push("beat\n", 0, false);
    EXPECT_EQ(reader.read(), "beat\n");
}

TEST(StreamClient, IsWokenOnlyWhenItMayWrite) {
    Reader reader;
    reader.read();
    reader.client->wake();
    EXPECT_EQ(reader.woken, 0);
    reader.push("one");
    reader.push("two");
    reader.client->wake();
    EXPECT_EQ(reader.woken, 1);
    reader.read();
    reader.client->wake();
    EXPECT_EQ(reader.woken, 1) << "not again in the same turn";
    ++reader.turn;
    reader.client->wake();
    EXPECT_EQ(reader.woken, 2);
}

TEST(StreamClient, EndsAfterWhatWaits) {
    Reader reader;
    reader.read();
    reader.push("one ");
    reader.push("two");
    reader.client->end();
    EXPECT_EQ(reader.woken, 1);
    EXPECT_EQ(reader.read(), "one two");
    char byte = 0;
    EXPECT_FALSE(reader.client->read(&byte, 1));
}

TEST(StreamClient, IsCountedWhileItLives) {
    Reader reader;
    EXPECT_EQ(reader.counts->clients, 1U);
    reader.client.reset();
    EXPECT_EQ(reader.counts->clients, 0U);
}

} // namespace
} // namespace keepwell::feeds
