#include "supervisor/logs/log_reader.h"

#include "tests/logs/log_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

namespace keepwell {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;
using Lines = std::vector<std::string>;

class LogReaderTest : public testing::Test {
  protected:
    std::string file() const { return log_path(dir.path(), "web"); }
    void append(const std::string& text) const {
        std::ofstream(file(), std::ios::app | std::ios::binary) << text;
    }
    void rotate(std::uint64_t sequence) const {
        std::filesystem::rename(file(), rotated_path(dir.path(), "web", sequence));
    }
    Lines last(std::size_t n) const {
        auto lines = read_last_lines(dir.path(), "web", n);
        EXPECT_TRUE(lines) << lines.error().message;
        return lines ? *lines : Lines{};
    }
    static Lines poll(LogTail& tail) {
        auto lines = tail.poll();
        EXPECT_TRUE(lines) << lines.error().message;
        return lines ? *lines : Lines{};
    }

    TempDir dir;
};

using LastLogLines = LogReaderTest;

TEST_F(LastLogLines, OfNothingAreNone) {
    EXPECT_THAT(last(5), IsEmpty());
    append("");
    EXPECT_THAT(last(5), IsEmpty());
}

TEST_F(LastLogLines, ComeOverRotatedFilesOldestFirst) {
    append("1\n2\n");
    rotate(9);
    append("3\n");
    rotate(10); // by number, not by name
    append("4\n5\n");
    EXPECT_THAT(last(1), ElementsAre("5"));
    EXPECT_THAT(last(3), ElementsAre("3", "4", "5"));
    EXPECT_THAT(last(5), ElementsAre("1", "2", "3", "4", "5"));
    EXPECT_THAT(last(50), ElementsAre("1", "2", "3", "4", "5"));
    EXPECT_THAT(last(0), IsEmpty());
}

TEST_F(LastLogLines, AreThereBetweenARotationAndTheNextByte) {
    append("1\n2\n");
    rotate(1);
    EXPECT_THAT(last(1), ElementsAre("2"));
    append("");
    EXPECT_THAT(last(2), ElementsAre("1", "2"));
}

TEST_F(LastLogLines, CountAnUnfinishedLine) {
    append("1\n2\nhalf");
    EXPECT_THAT(last(1), ElementsAre("half"));
    EXPECT_THAT(last(2), ElementsAre("2", "half"));
    EXPECT_THAT(last(9), ElementsAre("1", "2", "half"));
}

TEST_F(LastLogLines, JoinALineThatWasSplitOverFiles) {
    append("1\nlong ");
    rotate(1);
    append("line\n3\n");
    EXPECT_THAT(last(2), ElementsAre("long line", "3"));
}

TEST_F(LastLogLines, AreRawBytesAndKeepEmptyOnes) {
    append(std::string("a\0b\r\n\n\xff\xfe\n", 9));
    EXPECT_THAT(last(3), ElementsAre(std::string("a\0b\r", 4), "", "\xff\xfe"));
}

TEST_F(LastLogLines, AreCutWithAMarkWhenTooLong) {
    append("1\n" + std::string(300'000, 'x') + "\n3\n");
    EXPECT_THAT(last(3),
                ElementsAre("1", std::string(kMaxLogLine, 'x') + std::string(kLogCutMark), "3"));
    EXPECT_THAT(last(1), ElementsAre("3"));
}

TEST_F(LastLogLines, AreManyOverBlocksAndFiles) {
    constexpr unsigned long kLines = 20'000;
    for (unsigned long i = 0; i < kLines; ++i) {
        append(numbered_line(i));
        if (i % 7000 == 6999) rotate(i / 7000 + 1);
    }
    for (const std::size_t n : {1, 999, 6000, 6001, 15'000, 20'000}) {
        const Lines lines = last(n);
        ASSERT_EQ(lines.size(), n);
        EXPECT_EQ(lines.front() + "\n", numbered_line(kLines - n));
        EXPECT_EQ(lines.back() + "\n", numbered_line(kLines - 1));
    }
}

TEST_F(LastLogLines, AreAnErrorForASymbolicLink) {
    ASSERT_EQ(::symlink("/etc/hostname", file().c_str()), 0);
    const auto lines = read_last_lines(dir.path(), "web", 1);
    ASSERT_FALSE(lines);
    EXPECT_EQ(lines.error().message, "cannot read " + file() + ": it is a symbolic link");
}

using LogTailTest = LogReaderTest;

TEST_F(LogTailTest, GivesCompleteLinesSinceAPositionOnce) {
    append("before\n");
    LogTail tail(dir.path(), "web", log_end(dir.path(), "web"));
    EXPECT_THAT(poll(tail), IsEmpty());
    append("one\ntw");
    EXPECT_THAT(poll(tail), ElementsAre("one"));
    append("o\nthree\n");
    EXPECT_THAT(poll(tail), ElementsAre("two", "three"));
    EXPECT_THAT(poll(tail), IsEmpty());
}

TEST_F(LogTailTest, FinishesTheRotatedFileFirst) {
    LogTail tail(dir.path(), "web", log_end(dir.path(), "web")); // no file yet
    append("1\n");
    EXPECT_THAT(poll(tail), ElementsAre("1"));
    append("2\n");
    rotate(1);
    append("3\n");
    rotate(2);
    EXPECT_THAT(poll(tail), ElementsAre("2", "3"));
    append("4\n");
    EXPECT_THAT(poll(tail), ElementsAre("4"));
}

TEST_F(LogTailTest, StaysInARenamedFileUntilItsWriterHasLeftIt) {
    append("1\n");
    LogTail tail(dir.path(), "web", {});
    EXPECT_THAT(poll(tail), ElementsAre("1"));
    rotate(1);
    append(""); // the empty file that a child finds once it is told
    std::ofstream(rotated_path(dir.path(), "web", 1), std::ios::app) << "2\n";
    EXPECT_THAT(poll(tail), ElementsAre("2"));
    EXPECT_THAT(poll(tail), IsEmpty());
    std::ofstream(rotated_path(dir.path(), "web", 1), std::ios::app) << "3\n";
    append("4\n");
    EXPECT_THAT(poll(tail), ElementsAre("3", "4"));
}

TEST_F(LogTailTest, FindsAPositionWhoseFileWasRotatedSince) {
    append("old\n");
    rotate(1);
    append("before\n");
    const LogPosition start = log_end(dir.path(), "web");
    append("1\n");
    rotate(2);
    append("2\n");
    rotate(3);
    append("3\n");
    LogTail tail(dir.path(), "web", start);
    EXPECT_THAT(poll(tail), ElementsAre("1", "2", "3"));
}

TEST_F(LogTailTest, GoesOnAfterTheFilesItMissedWereDeleted) {
    append("before\n");
    const LogPosition start = log_end(dir.path(), "web");
    rotate(1);
    append("missed\n");
    rotate(2);
    append("kept\n");
    rotate(3);
    append("now\n");
    std::filesystem::remove(rotated_path(dir.path(), "web", 1));
    std::filesystem::remove(rotated_path(dir.path(), "web", 2));
    LogTail tail(dir.path(), "web", start);
    EXPECT_THAT(poll(tail), ElementsAre("kept", "now"));
}

TEST_F(LogTailTest, BeginsAnewWhenTheFileIsTruncatedOrRemoved) {
    append("a long first line\n");
    LogTail tail(dir.path(), "web", LogPosition{});
    EXPECT_THAT(poll(tail), ElementsAre("a long first line"));
    std::filesystem::resize_file(file(), 0);
    EXPECT_THAT(poll(tail), IsEmpty());
    append("new\n");
    EXPECT_THAT(poll(tail), ElementsAre("new"));
    std::filesystem::remove(file());
    EXPECT_THAT(poll(tail), IsEmpty());
    append("newest\n");
    EXPECT_THAT(poll(tail), ElementsAre("newest"));
}

using LogFollowerTest = LogReaderTest;

TEST_F(LogFollowerTest, GivesTheLastLinesThenWhatComesAndWakesUpForIt) {
    append("1\n2\nha");
    auto follower = LogFollower::open(dir.path(), {"web", "db"}, 1);
    ASSERT_TRUE(follower);
    auto texts = [&] {
        Lines all;
        auto lines = follower->poll();
        EXPECT_TRUE(lines);
        for (const LogLine& line : *lines) all.push_back(line.key + " " + line.text);
        return all;
    };
    EXPECT_THAT(texts(), ElementsAre("web 2"));
    EXPECT_THAT(texts(), IsEmpty());

    Bench bench(dir.path());
    const Pipe web;
    const Pipe db;
    bench.start();
    bench.add("web", web);
    bench.add("db", db);
    const auto wakes_up = [&] {
        pollfd p{follower->wait_fd(), POLLIN, 0};
        return ::poll(&p, 1, 10'000) == 1;
    };
    write_all(web.write.get(), "lf\n");
    EXPECT_TRUE(wakes_up());
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_THAT(texts(), ElementsAre("web half"));
    write_all(db.write.get(), "new file\n");
    EXPECT_TRUE(wakes_up());
    ASSERT_TRUE(bench.flush("db"));
    EXPECT_THAT(texts(), ElementsAre("db new file"));
    while (!texts().empty()) {
    }
    write_all(db.write.get(), "again\n");
    EXPECT_TRUE(wakes_up());
}

TEST_F(LogFollowerTest, LosesAndRepeatsNothingWhileTheMoverRotates) {
    Bench bench(dir.path());
    Pipe pipe;
    bench.start();
    LogSpec spec;
    spec.max_size = 20'000;
    spec.keep = 100'000;
    bench.add("web", pipe, spec);
    auto follower = LogFollower::open(dir.path(), {"web"}, 10);
    ASSERT_TRUE(follower);
    constexpr unsigned long kLines = 100'000;
    std::thread writer([&] {
        for (unsigned long i = 0; i < kLines; ++i) write_all(pipe.write.get(), numbered_line(i));
    });
    std::string seen;
    unsigned long count = 0;
    EXPECT_TRUE(wait_until([&] {
        for (;;) {
            auto lines = follower->poll();
            if (!lines || lines->empty()) break;
            count += lines->size();
            for (const LogLine& line : *lines) seen += line.text + "\n";
        }
        return count >= kLines;
    }));
    writer.join();
    EXPECT_EQ(check_numbered(seen, kLines), "");
    EXPECT_GT(rotated_sequences(dir.path(), "web").size(), 100U);
}

TEST_F(LogFollowerTest, SaysWhyItCannot) {
    const auto follower = LogFollower::open(dir.path() + "/none", {"web"}, 1);
    ASSERT_FALSE(follower);
    EXPECT_EQ(follower.error().message,
              "cannot follow logs in " + dir.path() + "/none: No such file or directory");
}

TEST(LineMatcher, MatchesCompleteLinesOnly) {
    auto matcher = LineMatcher::compile("listening on .*:80$");
    ASSERT_TRUE(matcher);
    EXPECT_FALSE(matcher->feed("starting\nnow listening"));
    EXPECT_FALSE(matcher->feed(" on 127.0.0.1:80"));
    EXPECT_TRUE(matcher->feed("\nmore"));
    EXPECT_TRUE(matcher->matched());
}

TEST(LineMatcher, SurvivesEndlessLinesAndTellsBadPatterns) {
    auto matcher = LineMatcher::compile("(a*)*x"); // exponential for a backtracker
    ASSERT_TRUE(matcher);
    EXPECT_FALSE(matcher->feed(std::string(10'000'000, 'a') + "\n"));
    EXPECT_TRUE(matcher->feed("aax\n"));
    EXPECT_FALSE(LineMatcher::compile("(.)\\1")) << "nobody can search for this in linear time";
    const auto bad = LineMatcher::compile("(");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().message.find("cannot understand the pattern \"(\": "), 0U);
}

TEST_F(LogReaderTest, WatchSeesALineThatCameAfterThePositionOnly) {
    append("ready\n");
    LogWatch watch(dir.path(), "web", log_end(dir.path(), "web"),
                   LineMatcher::compile("^ready$").value());
    EXPECT_FALSE(*watch.poll());
    append("steady\n");
    rotate(1);
    EXPECT_FALSE(*watch.poll());
    std::string much;
    for (int i = 0; i < 3000; ++i)
        much += "something else that is not it " + std::to_string(i) + "\n";
    append(much + "ready\n");
    EXPECT_TRUE(wait_until([&] { return *watch.poll(); }));
}

} // namespace
} // namespace keepwell
