// Log checks read real files: from their start on, over rotation and compression, each line once.
#include "supervisor/logs/log_packer.h"
#include "supervisor/logs/log_scan.h"
#include "supervisor/logs/time_index.h"
#include "tests/logs/log_support.h"
#include "tests/support/virtual_time.h"

#include <gtest/gtest.h>

namespace keepwell {
namespace {

using namespace test;

class LogScanTest : public testing::Test {
  protected:
    void append(const std::string& text, const std::string& name = "web.log") const {
        std::ofstream(dir.path() + "/" + name, std::ios::binary | std::ios::app) << text;
    }
    void rotate(int sequence) const {
        std::filesystem::rename(dir.path() + "/web.log",
                                dir.path() + "/web.log." + std::to_string(sequence));
    }
    std::shared_ptr<LogScan> open(const std::string& bad, const std::string& good = "") {
        return scans.open({"web", bad, good});
    }

    TempDir dir;
    FileLogScans::Place place{dir.path(), {"web", "web.err"}, {"secret=\\S+"}, {}};
    test::VirtualClock clock;
    FileLogScans scans{[this](const std::string& key) {
                           EXPECT_EQ(key, "web");
                           return place;
                       },
                       clock};
};

TEST_F(LogScanTest, OnlyNewWholeLinesCountAndEachOnce) {
    append("FATAL before\n");
    const auto scan = open("FATAL");
    EXPECT_EQ(scan->look().bad_lines, 0U);
    append("fine\nFATAL one\nFATAL two\nFAT");
    LogFindings found = scan->look();
    EXPECT_EQ(found.bad_lines, 2U);
    EXPECT_EQ(found.first_bad, "FATAL one");
    EXPECT_EQ(scan->look().bad_lines, 0U);
    append("AL three\n");
    EXPECT_EQ(scan->look().first_bad, "FATAL three");
    EXPECT_EQ(found.error, "");
}

TEST_F(LogScanTest, FollowsRotationAndReadsWhatWasCompressedMeanwhile) {
    append("old\n");
    const auto scan = open("FATAL");
    append("FATAL a\n");
    rotate(1);
    append("FATAL b\n");
    rotate(2);
    append("FATAL c\n");
    LogPacker packer(dir.path(), [](const std::string& error) { ADD_FAILURE() << error; });
    packer.set("web", {});
    packer.start();
    ASSERT_TRUE(wait_until([&] { return packer.idle(); }));
    ASSERT_TRUE(std::filesystem::exists(dir.path() + "/web.log.1.gz"));
    const LogFindings found = scan->look();
    EXPECT_EQ(found.bad_lines, 3U);
    EXPECT_EQ(found.first_bad, "FATAL a");
    append("FATAL d\n");
    EXPECT_EQ(scan->look().first_bad, "FATAL d");
}

// logrotate's two ways, and a daemon that goes on in the old file until it is told.
TEST_F(LogScanTest, AFileThatTheDaemonWritesItselfIsFollowedWhoeverRotatesIt) {
    place.streams = {dir.path() + "/own"};
    append("FATAL before\n", "own");
    const auto scan = open("FATAL");
    EXPECT_EQ(scan->look().bad_lines, 0U);
    append("FATAL a\n", "own");
    std::filesystem::rename(dir.path() + "/own", dir.path() + "/own.1");
    append("FATAL b\n", "own.1");
    EXPECT_EQ(scan->look().bad_lines, 2U);
    append("", "own");
    append("FATAL c\n", "own.1");
    EXPECT_EQ(scan->look().bad_lines, 1U);
    append("FATAL d\n", "own");
    EXPECT_EQ(scan->look().first_bad, "FATAL d");
    std::filesystem::resize_file(dir.path() + "/own", 0);
    EXPECT_EQ(scan->look().bad_lines, 0U);
    append("FATAL e\n", "own");
    EXPECT_EQ(scan->look().first_bad, "FATAL e");
    std::filesystem::remove(dir.path() + "/own");
    EXPECT_EQ(scan->look().error, "");
    append("FATAL f\n", "own");
    EXPECT_EQ(scan->look().first_bad, "FATAL f");
}

TEST_F(LogScanTest, AnotherStreamBeginsAtTheStartAndAUnitWithoutAnySaysSo) {
    struct Stream final : LineStream {
        explicit Stream(WallTime t) : from(t) {}
        Result<std::vector<TimedLine>> poll_timed() override {
            if (std::exchange(read, true)) return std::vector<TimedLine>{};
            return std::vector<TimedLine>{{"FATAL at " + std::to_string(from.ms), from.ms}};
        }
        void skip() override {}
        WallTime from;
        bool read = false;
    };
    place.streams.clear();
    EXPECT_NE(open("FATAL")->look().error.find("name its files in log_files"), std::string::npos);
    place.other = [](WallTime from) { return std::make_unique<Stream>(from); };
    const std::int64_t begin = clock.wall().ms;
    scans.starting("web");
    clock.jump(std::chrono::seconds(10));
    EXPECT_EQ(open("FATAL")->look().first_bad, "FATAL at " + std::to_string(begin));
    scans.started("web");
    EXPECT_EQ(open("FATAL")->look().first_bad, "FATAL at " + std::to_string(begin + 10'000));
}

// As it is in life: a mover rotates, a packer compresses, the check looks now and then.
TEST_F(LogScanTest, NoLineIsMissedWhileLogsAreRotatedAndCompressedUnderIt) {
    LogPacker packer(dir.path(), [](const std::string& error) { ADD_FAILURE() << error; });
    packer.set("web", {});
    packer.start();
    Bench bench(dir.path());
    bench.rotated = [&](const std::string& key) { packer.rotated(key); };
    bench.start();
    const Pipe pipe;
    LogSpec spec;
    spec.max_size = 64U << 10;
    spec.keep = 1000;
    bench.add("web", pipe, spec);
    const auto scan = open("FATAL");
    std::string block;
    for (int i = 0; i < 200; ++i) block += std::string(1000, 'x') + "\n";
    for (int i = 0; i < 30; ++i) {
        ASSERT_TRUE(write_all(pipe.write.get(), block));
        const std::string line = "FATAL " + std::to_string(i);
        ASSERT_TRUE(write_all(pipe.write.get(), line + "\n"));
        if (i % 3 == 0) {
            ASSERT_TRUE(bench.flush("web"));
        }
        if (i % 2 == 0) {
            ASSERT_TRUE(wait_until([&] { return packer.idle(); }));
        }
        LogFindings found;
        ASSERT_TRUE(wait_until([&] { return (found = scan->look()).bad_lines > 0; },
                               std::chrono::seconds(5)))
            << line;
        EXPECT_EQ(found.first_bad, line);
        EXPECT_EQ(found.bad_lines, 1U);
    }
}

TEST_F(LogScanTest, ALogThatDoesNotExistYetIsEmpty) {
    const auto scan = open("FATAL");
    EXPECT_EQ(scan->look().error, "");
    append("FATAL\n");
    EXPECT_EQ(scan->look().bad_lines, 1U);
}

TEST_F(LogScanTest, WhatAStartPrintedBeforeItsChecksBeganCounts) {
    append("FATAL before\n");
    scans.starting("web");
    append("FATAL at start\n");
    const auto first = open("FATAL"), second = open("FATAL");
    EXPECT_EQ(first->look().first_bad, "FATAL at start");
    EXPECT_EQ(second->look().bad_lines, 1U);
    scans.started("web");
    EXPECT_EQ(open("FATAL")->look().bad_lines, 0U);
}

TEST_F(LogScanTest, StderrOfItsOwnBelongsToTheUnit) {
    const auto scan = open("FATAL");
    append("FATAL\n", "web.err.log");
    append("FATAL\n", "other.log");
    EXPECT_EQ(scan->look().bad_lines, 1U);
}

TEST_F(LogScanTest, SecretsAreHidden) {
    const auto scan = open("FATAL");
    append("FATAL secret=hunter2 \xff end\n");
    EXPECT_EQ(scan->look().first_bad, "FATAL [redacted] \xff end");
}

TEST_F(LogScanTest, TheTimeOfAGoodLineIsThatOfItsWriting) {
    const auto scan = open("", "done");
    append("done\n");
    struct stat info {};
    ASSERT_EQ(::stat((dir.path() + "/web.log").c_str(), &info), 0);
    TimeIndexWriter times;
    times.mark(dir.path() + "/web.log", info.st_ino, 0, 1'000'000);
    times.close();
    LogFindings found = scan->look();
    EXPECT_TRUE(found.good);
    ASSERT_TRUE(found.good_at);
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    EXPECT_LE(found.good_at->ms, now);
    EXPECT_GE(found.good_at->ms, now - 60'000);
    EXPECT_FALSE(scan->look().good);
    append("done\n", "web.err.log"); // nobody knows when
    found = scan->look();
    EXPECT_TRUE(found.good);
    EXPECT_FALSE(found.good_at);
}

TEST_F(LogScanTest, AFloodIsReadInPartAndTheRestIsSkippedAndSaid) {
    const auto scan = open("FATAL");
    const std::string line = std::string(1023, 'x') + "\n";
    std::string block;
    for (int i = 0; i < 1024; ++i) block += line;
    for (int i = 0; i < 12; ++i) append(block);
    append("FATAL late\n");
    LogFindings found = scan->look();
    EXPECT_EQ(found.skipped_after, FileLogScans::kMostAtOnce);
    EXPECT_EQ(found.bad_lines, 0U);
    append("FATAL next\n");
    found = scan->look();
    EXPECT_EQ(found.skipped_after, 0U);
    EXPECT_EQ(found.first_bad, "FATAL next");
}

TEST_F(LogScanTest, WhatCannotBeReadIsSaid) {
    const auto scan = open("FATAL");
    std::filesystem::create_directory(dir.path() + "/web.log");
    EXPECT_EQ(scan->look().error, "cannot read " + dir.path() + "/web.log: not a regular file");
    place.redact = {"("};
    EXPECT_TRUE(open("FATAL")->look().error.starts_with("cannot look into the log: "));
}

} // namespace
} // namespace keepwell
