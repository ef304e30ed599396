#include "tests/logs/log_support.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include <random>

namespace keepwell {
namespace {

using namespace test;
using Clock = std::chrono::steady_clock;

constexpr int kWriters = 20;
constexpr int kKills = 250;

class ChildProcess { // killed whatever happens to the test
  public:
    explicit ChildProcess(const std::function<void()>& body) {
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() == parent) body();
        ::_exit(0);
    }
    ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    ~ChildProcess() { end(SIGKILL); }

    int end(int signal) {
        if (pid_ <= 0) return 0;
        if (signal != 0) ::kill(pid_, signal);
        int status = 0;
        ::waitpid(std::exchange(pid_, -1), &status, 0);
        return status;
    }

  private:
    pid_t pid_ = -1;
};

std::string writer_key(int i) { return "writer" + std::to_string(i); }

LogSpec small_files() {
    LogSpec spec;
    spec.max_size = 64U << 10;
    spec.keep = 1U << 20;
    return spec;
}

void write_numbered(int fd, const std::atomic<bool>& stop, std::atomic<unsigned long>& count,
                    unsigned int seed) {
    std::mt19937 random(seed);
    unsigned long next = 0;
    while (!stop) {
        std::string burst; // writes of very different sizes, cut anywhere in a line
        for (auto lines = 1 + random() % 60; lines > 0; --lines) {
            burst += numbered_line(next++);
        }
        const std::size_t cut = random() % burst.size();
        if (!write_all(fd, std::string_view(burst).substr(0, cut))) return;
        if (!write_all(fd, std::string_view(burst).substr(cut))) return;
        if (random() % 8 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    count = next;
}

void run_mover(Bench& bench, const std::vector<Pipe>& pipes, int eof_fd) {
    bench.start();
    for (int i = 0; i < kWriters; ++i) bench.add(writer_key(i), pipes[i], small_files());
    for (int i = 0; i < kWriters; ++i) bench.wait_for_eof(writer_key(i));
    write_all(eof_fd, "x");
}

TEST(LogMoverKilled, LosesDoublesReordersAndTearsNothing) {
    const TempDir dir;
    Bench bench(dir.path()); // this process is the keeper: it holds all pipes and the owner word
    std::vector<Pipe> pipes(kWriters);
    std::vector<std::atomic<unsigned long>> counts(kWriters);
    std::atomic<bool> stop{false};
    const Pipe finished;

    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) {
        writers.emplace_back([&, i] {
            write_numbered(pipes[i].write.get(), stop, counts[i], static_cast<unsigned int>(i));
        });
    }
    const auto start = [&] {
        return ChildProcess([&] {
            for (const Pipe& pipe : pipes) ::close(pipe.write.get());
            run_mover(bench, pipes, finished.write.get());
        });
    };

    std::mt19937 random(20261122);
    int staged = 0;
    int kills = 0;
    const auto limit = Clock::now() + std::chrono::seconds(60);
    for (; kills < kKills && Clock::now() < limit; ++kills) {
        ChildProcess mover = start();
        std::this_thread::sleep_for(std::chrono::microseconds(500 + random() % 40'000));
        mover.end(SIGKILL);
        if (bench.owner->key[0] != '\0') ++staged;
    }
    EXPECT_GE(kills, 200);
    EXPECT_GT(staged, 10) << "the kills must also hit the middle of a turn";

    {
        ChildProcess mover = start();
        stop = true;
        for (std::thread& writer : writers) writer.join();
        for (Pipe& pipe : pipes) pipe.write.reset();
        char done = 0;
        EXPECT_EQ(::read(finished.read.get(), &done, 1), 1);
        mover.end(0);
    }
    for (int i = 0; i < kWriters; ++i) {
        EXPECT_EQ(check_numbered(read_stream(dir.path(), writer_key(i)), counts[i]), "")
            << writer_key(i);
    }
    EXPECT_GT(rotated_sequences(dir.path(), writer_key(0)).size(), 3U);
}

TEST(LogMoverRestarted, WritesWhatAPredecessorLeftInTheStagingPipeFirst) {
    const TempDir dir;
    Bench bench(dir.path());
    const Pipe pipe;
    write_all(bench.stage.write.get(), "staged\n");
    std::snprintf(bench.owner->key, sizeof bench.owner->key, "web");
    write_all(pipe.write.get(), "later\n");
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(log_path(dir.path(), "web")), "staged\nlater\n");
    EXPECT_EQ(bench.owner->key[0], '\0');
}

TEST(LogMoverRestarted, KeepsStagedBytesWhoseOwnerIsUnknownInAFileOfTheirOwn) {
    const TempDir dir;
    Bench bench(dir.path());
    write_all(bench.stage.write.get(), "whose?\n");
    bench.start();
    ASSERT_TRUE(bench.flush("nobody"));
    EXPECT_EQ(read_file(log_path(dir.path(), "unowned")), "whose?\n");
}

TEST(LogMoverDestroyed, LeavesTheRestInThePipesAndASuccessorGoesOn) {
    const TempDir dir;
    Bench bench(dir.path());
    Pipe pipe;
    std::atomic<bool> stop{false};
    std::atomic<unsigned long> count{0};
    std::thread writer([&] { write_numbered(pipe.write.get(), stop, count, 7); });
    for (int i = 0; i < 50; ++i) {
        bench.start();
        bench.add("web", pipe, small_files());
        bench.flush("web");
        bench.mover.reset();
    }
    bench.start();
    bench.add("web", pipe, small_files());
    stop = true;
    writer.join();
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_EQ(check_numbered(read_stream(dir.path(), "web"), count), "");
}

} // namespace
} // namespace keepwell
