#include "tests/logs/log_support.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>

namespace keepwell {
namespace {

using namespace test;

class LogMoverTest : public testing::Test {
  protected:
    std::string file(const std::string& key = "web") const { return log_path(dir.path(), key); }
    bool file_has(const std::string& text, const std::string& key = "web") const {
        return wait_until([&] { return read_file(file(key)).find(text) != std::string::npos; });
    }

    TempDir dir;
    Bench bench{dir.path()};
    Pipe pipe;
};

std::string random_bytes(std::size_t size, bool newlines) {
    std::mt19937 random(4711);
    std::string bytes(size, '\0');
    for (char& c : bytes) {
        c = static_cast<char>(random());
        if (c == '\n' && !newlines) c = 'n';
    }
    return bytes;
}

using LogMoverBytes = LogMoverTest;

TEST_F(LogMoverBytes, AreEqualForBinaryOutputWithNewlines) {
    const std::string bytes = random_bytes(3'000'000, true);
    bench.start();
    LogSpec spec;
    spec.max_size = 100'000;
    spec.keep = 1000;
    bench.add("web", pipe, spec);
    write_all(pipe.write.get(), bytes);
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_TRUE(read_stream(dir.path(), "web") == bytes);
    for (const auto sequence : rotated_sequences(dir.path(), "web")) {
        const auto size = std::filesystem::file_size(rotated_path(dir.path(), "web", sequence));
        EXPECT_LE(size, spec.max_size);
        EXPECT_GT(size, spec.max_size * 9 / 10);
    }
}

TEST_F(LogMoverBytes, AreEqualWithoutAnyNewlineAndFilesStayBounded) {
    const std::string bytes = random_bytes(3'000'000, false);
    bench.start();
    LogSpec spec;
    spec.max_size = 100'000;
    spec.keep = 1000;
    bench.add("web", pipe, spec);
    write_all(pipe.write.get(), bytes);
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_TRUE(read_stream(dir.path(), "web") == bytes);
    const auto sequences = rotated_sequences(dir.path(), "web");
    EXPECT_GE(sequences.size(), 19U);
    for (const auto sequence : sequences) {
        EXPECT_LE(std::filesystem::file_size(rotated_path(dir.path(), "web", sequence)), 150'000U);
    }
}

using LogRotation = LogMoverTest;

TEST_F(LogRotation, KeepsNumberedLinesOnceInOrderAndWholeOverHundredsOfFiles) {
    bench.start();
    LogSpec spec;
    spec.max_size = 4096;
    spec.keep = 100'000;
    bench.add("web", pipe, spec);
    constexpr unsigned long kLines = 20'000;
    for (unsigned long i = 0; i < kLines; ++i) write_all(pipe.write.get(), numbered_line(i));
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_EQ(check_numbered(read_stream(dir.path(), "web"), kLines), "");
    const auto sequences = rotated_sequences(dir.path(), "web");
    EXPECT_GT(sequences.size(), 300U);
    for (const auto sequence : sequences) {
        const std::string text = read_file(rotated_path(dir.path(), "web", sequence));
        ASSERT_LE(text.size(), spec.max_size);
        ASSERT_EQ(text.back(), '\n');
    }
}

TEST_F(LogRotation, KeepsOnlyTheNewestFilesAndNumbersOn) {
    write_all(Fd(::open((file() + ".41").c_str(), O_CREAT | O_WRONLY, 0600)).get(), "old\n");
    bench.start();
    LogSpec spec;
    spec.max_size = 1000;
    spec.keep = 3;
    bench.add("web", pipe, spec);
    for (int i = 0; i < 10; ++i) write_all(pipe.write.get(), std::string(998, 'x') + "\n");
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(rotated_sequences(dir.path(), "web"), (std::vector<std::uint64_t>{48, 49, 50}));
}

TEST_F(LogRotation, PutsALineThatDoesNotFitWholeIntoTheNextFile) {
    bench.start();
    LogSpec spec;
    spec.max_size = 1000;
    bench.add("web", pipe, spec);
    write_all(pipe.write.get(), std::string(599, 'a') + "\n");
    ASSERT_TRUE(bench.flush("web"));
    write_all(pipe.write.get(), std::string(599, 'b') + "\n");
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(file() + ".1"), std::string(599, 'a') + "\n");
    EXPECT_EQ(read_file(file()), std::string(599, 'b') + "\n");
}

TEST_F(LogRotation, FollowsANewSizeAfterAReload) {
    bench.start();
    bench.add("web", pipe);
    write_all(pipe.write.get(), std::string(5000, 'a') + "\n");
    ASSERT_TRUE(bench.flush("web"));
    LogSpec spec;
    spec.max_size = 1000;
    bench.mover->configure("web", spec);
    ASSERT_TRUE(bench.flush("web"));
    write_all(pipe.write.get(), "b\n");
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(file()), "b\n");
    EXPECT_EQ(read_file(file() + ".1").size(), 5001U);
}

using LogMoverFairness = LogMoverTest;

TEST_F(LogMoverFairness, QuietLinesArriveWithinAFewTurnsWhileOthersFlood) {
    constexpr int kQuiet = 50;
    bench.start();
    std::atomic<bool> stop{false};
    std::vector<Pipe> noisy(2);
    std::vector<std::thread> floods;
    for (int i = 0; i < 2; ++i) {
        LogSpec spec;
        spec.max_size = 1U << 20;
        spec.keep = 2;
        bench.add("noisy" + std::to_string(i), noisy[i], spec);
        floods.emplace_back([&, i] {
            const std::string much(64U << 10, 'y');
            while (!stop) write_all(noisy[i].write.get(), much);
        });
    }
    std::vector<Pipe> quiet(kQuiet);
    for (int i = 0; i < kQuiet; ++i) bench.add("quiet" + std::to_string(i), quiet[i]);

    const auto flood_bytes = [&] {
        std::uint64_t sum = 0;
        for (int i = 0; i < 2; ++i) {
            const std::string key = "noisy" + std::to_string(i);
            const auto rotated = rotated_sequences(dir.path(), key);
            sum += (rotated.empty() ? 0 : rotated.back()) << 20;
        }
        return sum;
    };
    ASSERT_TRUE(wait_until([&] { return flood_bytes() > 4U << 20; }));
    for (int i = 0; i < kQuiet; ++i) {
        const std::uint64_t before = flood_bytes();
        write_all(quiet[i].write.get(), "here\n");
        const bool arrived = file_has("here\n", "quiet" + std::to_string(i));
        const std::uint64_t meanwhile = flood_bytes() - before;
        EXPECT_TRUE(arrived);
        // A turn of each noisy one, the batch under way, and what is written while this test looks.
        EXPECT_LT(meanwhile, 32U << 20) << i;
    }
    stop = true;
    for (std::thread& flood : floods) flood.join();
}

TEST_F(LogMoverFairness, AFloodDoesNotKeepFlushOrTheEndWaiting) {
    bench.start();
    std::atomic<bool> stop{false};
    LogSpec spec;
    spec.max_size = 1U << 20;
    spec.keep = 2;
    bench.add("web", pipe, spec);
    std::thread flood([&] {
        const std::string much(64U << 10, 'y');
        while (!stop) write_all(pipe.write.get(), much);
    });
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(bench.flush("web"));
    bench.mover.reset();
    stop = true;
    // Nobody reads any more: make the writer's last write end.
    ::fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK);
    char bytes[65536];
    ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
    std::thread reader([&] {
        while (::read(pipe.read.get(), bytes, sizeof bytes) != 0) {
        }
    });
    flood.join();
    pipe.write.reset();
    reader.join();
}

using LogMoverIdle = LogMoverTest;

TEST_F(LogMoverIdle, NeverWakesUpAndTouchesNoDescriptorFlags) {
    bench.start();
    std::vector<Pipe> many(200);
    for (int i = 0; i < 200; ++i) bench.add("unit" + std::to_string(i), many[i]);
    write_all(many[7].write.get(), "one\n");
    ASSERT_TRUE(bench.flush("unit7"));
    const auto switches = [] { // of the mover's thread
        long sum = 0;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            if (read_file(task.path() / "comm") != "kw-logs\n") continue;
            std::ifstream status(task.path() / "status");
            for (std::string line; std::getline(status, line);) {
                if (line.find("ctxt_switches:") == std::string::npos) continue;
                sum += std::stol(line.substr(line.find(':') + 1));
            }
        }
        return sum;
    };
    // The absence of something: a while without a switch. A busy machine may need a second try.
    EXPECT_TRUE(wait_until([&] {
        const long before = switches();
        std::this_thread::sleep_for(std::chrono::milliseconds(1500));
        return switches() == before;
    }));
    EXPECT_EQ(::fcntl(many[7].read.get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 2)
        << "a log and its time index are created at the first byte";
}

using LogMoverEof = LogMoverTest;

TEST_F(LogMoverEof, IsReportedOnceWithTheGenerationAfterEverythingIsWritten) {
    bench.start();
    bench.mover->add(LogSource{"web", 7, pipe.share_read(), {}});
    write_all(pipe.write.get(), "no newline");
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_EQ(read_file(file()), "no newline");
    ASSERT_TRUE(bench.flush("web"));
    const auto reports = bench.reports("web");
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].generation, 7U);
    EXPECT_EQ(reports[0].error, "");
}

TEST_F(LogMoverEof, LeavesAnOverlappingInstanceOfTheSameKeyAlone) {
    bench.start();
    Pipe second;
    bench.add("web", pipe);
    bench.mover->add(LogSource{"web", 2, second.share_read(), {}});
    write_all(pipe.write.get(), "one\n");
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    write_all(second.write.get(), "two\n");
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(file()), "one\ntwo\n");
}

TEST_F(LogMoverEof, IsReportedForASourceThatBlocksOnErrorsToo) {
    bench.start();
    LogSpec spec;
    spec.on_error = LogOnError::Block;
    bench.add("web", pipe, spec);
    write_all(pipe.write.get(), "text\n");
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_EQ(read_file(file()), "text\n");
}

using LogMoverRemove = LogMoverTest;

TEST_F(LogMoverRemove, DrainsWhatIsThereAndClosesThePipe) {
    bench.start();
    bench.add("web", pipe);
    write_all(pipe.write.get(), "last words\n");
    bench.mover->remove("web");
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(file()), "last words\n");
    write_all(pipe.write.get(), "unread\n");
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(file()), "last words\n");
    bench.add("web", pipe); // the same open file description once more
    EXPECT_TRUE(file_has("unread\n"));
}

using LogMoverWriters = LogMoverTest;

TEST_F(LogMoverWriters, OfHalfALineDelayNobody) {
    bench.start();
    Pipe other;
    bench.add("slow", pipe);
    bench.add("web", other);
    write_all(pipe.write.get(), "half a li");
    write_all(other.write.get(), "whole\n");
    EXPECT_TRUE(file_has("whole\n"));
    EXPECT_TRUE(file_has("half a li", "slow"));
}

} // namespace
} // namespace keepwell
