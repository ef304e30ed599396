#include "supervisor/logs/log_query.h"
#include "supervisor/logs/packed_log.h"
#include "supervisor/logs/time_index.h"
#include "supervisor/logs/time_search.h"
#include "tests/logs/log_support.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace keepwell {
namespace {

using namespace test;
using std::chrono::system_clock;

constexpr std::int64_t kTime = 1'795'350'600'123; // 2026-11-22T12:30:00.123Z

class LineTimes : public testing::Test {
  protected:
    LineTimes() {
        ::setenv("TZ", "UTC-2", 1); // two hours east
        ::tzset();
    }
};

TEST_F(LineTimes, AreFoundAtTheStartInTheUsualForms) {
    for (const char* line :
         {"2026-11-22T12:30:00.123Z x", "2026-11-22T13:30:00.123456+01:00 x",
          "2026-11-22 14:30:00,123", "[2026-11-22 14:30:00.123] x", "2026/11/22 14:30:00.123 x",
          "<3>2026-11-22T12:30:00.123Z x", "2026-11-22 11:30:00.123 -0100 x", "1795350600.123 x",
          "1795350600123 x", "[1795350600.123] x"}) {
        EXPECT_EQ(own_time(line), kTime) << line;
    }
    for (const char* line : {"", "x", "2026-13-22T12:30:00Z", "2026-11-22", "12345 x",
                             "17953506001 x", "0179535060 x", "1795350600abc", "20261122T123000Z",
                             " 2026-11-22T12:30:00Z", "2026-11-22T25:00:00Z", "9999999999 x"}) {
        EXPECT_FALSE(own_time(line)) << line;
    }
}

TEST_F(LineTimes, OfPeopleMayLeaveOutWhatIsClear) {
    EXPECT_EQ(parse_date("2026-11-22T12:30:00.123Z"), kTime);
    EXPECT_EQ(parse_date("2026-11-22 14:30"), kTime - 123);
    EXPECT_EQ(parse_date("2026-11-22"), kTime - 123 - (14 * 60 + 30) * 60'000);
    EXPECT_FALSE(parse_date("2026-11-22 14:30 x"));
    EXPECT_FALSE(parse_date("14:30"));
}

TEST(LineLevels, AreRecognisedAtTheUsualPlaces) {
    const std::pair<const char*, std::optional<LogLevel>> cases[] = {
        {"<3>disk broken", LogLevel::Error},
        {"<30>a daemon's info", LogLevel::Info},
        {"{\"time\":1,\"level\":\"warning\",\"msg\":\"x\"}", LogLevel::Warn},
        {"{\"severity\": \"ERROR\"}", LogLevel::Error},
        {"{\"level\":50,\"msg\":\"pino\"}", LogLevel::Error},
        {"{\"msg\":\"level of water\"}", std::nullopt},
        {"ts=1 level=debug msg=x", LogLevel::Debug},
        {"E1122 12:30:00.000000   1 main.go:1] x", LogLevel::Error},
        {"I1122 12:30:00.000000   1 main.go:1] x", LogLevel::Info},
        {"2026-11-22 12:30:00,123 ERROR django.request: x", LogLevel::Error},
        {"2026/11/22 12:30:00 [warn] 12#12: x", LogLevel::Warn},
        {"2026-11-22 12:30:00.123 UTC [7] LOG:  x", std::nullopt},
        {"INFO:root:started", LogLevel::Info},
        {"error: cannot open", LogLevel::Error},
        {"Traceback (most recent call last):", LogLevel::Error},
        {"there was no error at all", std::nullopt},
        {"GET /error.html 200", std::nullopt},
        {"GET /ERROR_LOG 200", std::nullopt},
        {"", std::nullopt},
    };
    for (const auto& [line, level] : cases) EXPECT_EQ(own_level(line), level) << line;
    EXPECT_EQ(level_of_word("Warning"), LogLevel::Warn);
    EXPECT_FALSE(level_of_word("loud"));
}

class LogQueryTest : public testing::Test {
  protected:
    void append(const std::string& text, std::int64_t written_ms = 0) {
        const std::string path = log_path(dir.path(), "web");
        std::ofstream(path, std::ios::app | std::ios::binary) << text;
        struct stat info {};
        ASSERT_EQ(::stat(path.c_str(), &info), 0);
        if (written_ms == 0) return;
        const auto offset = static_cast<std::uint64_t>(info.st_size) - text.size();
        TimeIndexWriter writer; // makes the head; the time is put in by hand
        if (!std::filesystem::exists(index_path(path))) {
            writer.mark(path, info.st_ino, 0, 1000);
            std::filesystem::resize_file(index_path(path), 16);
        }
        const TimeMark mark{offset, written_ms};
        std::ofstream(index_path(path), std::ios::app | std::ios::binary)
            .write(reinterpret_cast<const char*>(&mark), sizeof mark);
        const timespec times[2] = {{0, UTIME_OMIT},
                                   {written_ms / 1000, written_ms % 1000 * 1'000'000}};
        ::utimensat(AT_FDCWD, path.c_str(), times, 0);
    }
    void rotate(std::uint64_t sequence, bool packed) {
        const std::string plain = rotated_path(dir.path(), "web", sequence);
        std::filesystem::rename(log_path(dir.path(), "web"), plain);
        if (std::filesystem::exists(index_path(log_path(dir.path(), "web")))) {
            std::filesystem::rename(index_path(log_path(dir.path(), "web")), index_path(plain));
        }
        if (!packed) return;
        const std::atomic<bool> go_on{false};
        ASSERT_TRUE(pack_log(plain, packed_path(dir.path(), "web", sequence), go_on));
        std::filesystem::remove(plain);
    }
    std::string ask(const LogQuery& query) {
        auto cursor = LogCursor::open(dir.path(), "web", query);
        if (!cursor) return cursor.error().message;
        std::string text;
        for (;;) {
            const auto entries = cursor->poll();
            if (!entries) return entries.error().message;
            if (entries->empty()) break;
            for (const auto& entry : *entries) text += entry.text + "\n";
        }
        if (const auto rest = cursor->rest()) text += rest->text + "|";
        return text;
    }
    static LogQuery last(std::size_t n) {
        LogQuery query;
        query.last = n;
        return query;
    }
    static LogQuery since(std::int64_t ms) {
        LogQuery query;
        query.since_ms = ms;
        return query;
    }

    TempDir dir;
};

TEST_F(LogQueryTest, LastLinesComeOverPlainAndPackedFiles) {
    append("one\ntwo\n");
    rotate(1, true);
    append("three\n");
    rotate(2, false);
    append("four\nfive");
    EXPECT_EQ(ask(last(10)), "one\ntwo\nthree\nfour\nfive\n");
    EXPECT_EQ(ask(last(4)), "two\nthree\nfour\nfive\n");
    EXPECT_EQ(ask(last(1)), "five\n");
    EXPECT_EQ(ask(last(0)), "");
    LogQuery following = last(2);
    following.unfinished = false;
    EXPECT_EQ(ask(following), "three\nfour\nfive|");
}

TEST_F(LogQueryTest, SinceTakesTimesOfLinesElseOfTheIndexAlsoInPackedFiles) {
    append("early\n", kTime);
    append("at ten\n", kTime + 10'000);
    rotate(1, true);
    append("at twenty\n", kTime + 20'000);
    append("2026-11-22T12:30:05Z its own time is earlier\n", kTime + 30'000);
    append("at forty\n", kTime + 40'000);
    EXPECT_EQ(ask(since(kTime - 1)),
              "early\nat ten\nat twenty\n2026-11-22T12:30:05Z its own time is "
              "earlier\nat forty\n");
    EXPECT_EQ(ask(since(kTime + 10'000)), "at ten\nat twenty\nat forty\n");
    EXPECT_EQ(ask(since(kTime + 10'001)), "at twenty\nat forty\n");
    EXPECT_EQ(ask(since(kTime + 99'000)), "");
    LogQuery both = since(kTime);
    both.last = 1;
    EXPECT_EQ(ask(both), "at forty\n");
    std::filesystem::remove(index_path(rotated_path(dir.path(), "web", 1)));
    EXPECT_EQ(ask(since(kTime + 15'000)), "at twenty\nat forty\n")
        << "no index: the file's own time";
}

// A line a second, between them lines without a time.
std::string timed_lines(std::int64_t from, int count) {
    std::string text;
    for (int i = 0; i < count; ++i)
        text += std::to_string((from + i * 1000) / 1000) + " line " + std::to_string(i) +
                "\n  and what follows it\n" +
                (i % 1000 == 7 ? std::string(40'000, 'x') + "\n" : "");
    return text;
}

TEST_F(LogQueryTest, InALogWithoutAnIndexLinesOfATimeAreFoundByBisection) {
    constexpr int kLines = 200'000;
    const std::string path = dir.path() + "/own.log";
    std::ofstream(path) << timed_lines(kTime, kLines);
    const timespec times[2] = {{0, UTIME_OMIT}, {kTime / 1000 + kLines, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    LogQuery query = since(kTime + 150'000 * std::int64_t{1000});
    query.last = 1'000'000;
    auto cursor = LogCursor::open(dir.path(), path, query);
    ASSERT_TRUE(cursor);
    const auto lines = cursor->poll();
    ASSERT_TRUE(lines);
    const auto timed = std::ranges::count_if(
        *lines, [](const LogEntry& e) { return e.text.find(" line ") != std::string::npos; });
    EXPECT_EQ(timed, kLines - 150'001) << "some are missing, or are earlier";

    auto log = open_log(path);
    ASSERT_TRUE(log);
    for (const std::int64_t second : {0, 1, 59, 60, 61, 5'000, 100'007, 199'999, 300'000}) {
        const std::uint64_t at = begin_by_own_times(*log, kTime + second * 1000);
        // The line there is earlier than what is looked for, and the file is not read from its
        // begin.
        char text[16] = {};
        ASSERT_GT(log->read(at, text, 10), 0);
        EXPECT_LE(std::atoll(text), kTime / 1000 + second) << second;
        if (second >= 5'000 && second < kLines) {
            EXPECT_GT(std::atoll(text), kTime / 1000 + second - 10'000) << second;
        }
    }
}

TEST_F(LogQueryTest, WhereNoLineBearsATimeItIsReadFromItsBegin) {
    const std::string path = dir.path() + "/own.log";
    {
        std::ofstream file(path);
        for (int i = 0; i < 100'000; ++i) file << "no time in here " << i << "\n";
    }
    auto log = open_log(path);
    ASSERT_TRUE(log);
    EXPECT_EQ(begin_by_own_times(*log, kTime), 0U);
    std::ofstream(path) << std::string(3'000'000, 'x'); // no line end at all
    auto endless = open_log(path);
    ASSERT_TRUE(endless);
    EXPECT_EQ(begin_by_own_times(*endless, kTime), 0U);
}

TEST_F(LogQueryTest, LevelsAreLookedForFarBackAndTakeTheirBlankLinesAlong) {
    append("ERROR first\n  with a trace\nINFO x\n");
    rotate(1, true);
    std::string noise;
    for (int i = 0; i < 20'000; ++i) noise += "INFO nothing " + std::to_string(i) + "\n";
    append(noise + "WARN second\n\tmore\nno level\n");
    LogQuery query = last(20);
    query.level = LogLevel::Error;
    EXPECT_EQ(ask(query), "ERROR first\n  with a trace\n");
    query.level = LogLevel::Warn;
    EXPECT_EQ(ask(query), "ERROR first\n  with a trace\nWARN second\n\tmore\n");
    query.last = 1;
    EXPECT_EQ(ask(query), "\tmore\n");
}

TEST_F(LogQueryTest, FollowsOverRotationAndPackingWithoutLossOrRepeat) {
    append("one\n");
    LogQuery query = last(1);
    query.unfinished = false;
    auto cursor = LogCursor::open(dir.path(), "web", query);
    ASSERT_TRUE(cursor);
    std::string text;
    const auto read = [&] {
        for (;;) {
            const auto entries = cursor->poll();
            ASSERT_TRUE(entries);
            if (entries->empty()) return;
            for (const auto& entry : *entries) text += entry.text + " ";
        }
    };
    read();
    append("two\n");
    rotate(1, true); // before it was read
    append("three\n");
    rotate(2, true);
    append("four\n"); // its inode may well be that of a file that is gone
    read();
    EXPECT_EQ(text, "one two three four ");
    append("five\n");
    read();
    rotate(3, true);
    read();
    append("six\n");
    read();
    EXPECT_EQ(text, "one two three four five six ");
}

} // namespace
} // namespace keepwell
