// All units in one sample: a made-up /proc and cgroups for the arithmetic, real processes for the
// rest.
#include "watchers/tree_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace keepwell;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

namespace {

struct Process {
    int pid = 0, parent = 1;
    long ticks = 0, start = 100, pages = 10, threads = 1;
    char state = 'S';
    int fds = 0;
    long system = 0;
};

struct Fake : testing::Test {
    std::string root = make_root();
    std::string cgroup = root + "/cg";
    Instant now{std::chrono::seconds(1000)};
    static std::string make_root() {
        std::string name = testing::TempDir() + "kw-sampler-XXXXXX";
        return mkdtemp(name.data());
    }
    ~Fake() override { std::filesystem::remove_all(root); }
    void put(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = root + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    void process(const Process& p) const {
        const std::string dir = std::to_string(p.pid);
        put(dir + "/stat", dir + " (x) " + p.state + ' ' + std::to_string(p.parent) +
                               " 7 8 0 -1 0 1 2 3 4 " + std::to_string(p.ticks) + ' ' +
                               std::to_string(p.system) + " 0 0 20 0 " + std::to_string(p.threads) +
                               " 0 " + std::to_string(p.start) + " 1000000 " +
                               std::to_string(p.pages) + " 0 0\n");
        std::filesystem::create_directories(root + "/" + dir + "/fd");
        for (int i = 0; i < p.fds; ++i) put(dir + "/fd/" + std::to_string(i), "");
    }
    // The files of a kernel that lists children; each process has one thread.
    void children(int pid, const std::string& list) const {
        put(std::to_string(pid) + "/task/" + std::to_string(pid) + "/children", list);
    }
    void end(int pid) const { std::filesystem::remove_all(root + "/" + std::to_string(pid)); }
    void crowd(int first, int count) const {
        for (int i = 0; i < count; ++i) process({.pid = first + i});
    }
};

const long kSecond = static_cast<long>(ticks_per_second());
const auto kPage = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));

} // namespace

TEST_F(Fake, TheFiguresOfATreeAreTheSumOfItsProcesses) {
    process({.pid = 10, .pages = 10, .threads = 3, .fds = 2});
    process({.pid = 11, .parent = 10, .pages = 5, .threads = 2, .fds = 1});
    process({.pid = 12, .parent = 11, .pages = 5});
    process({.pid = 13, .parent = 10, .pages = 50, .state = 'Z'});
    process({.pid = 20, .pages = 1000});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}, {20, ""}, {99, ""}, {0, ""}};
    const auto f = sampler.sample(trees, now);
    ASSERT_EQ(f.size(), 4U);
    EXPECT_THAT(f[0].pids, ElementsAre(10, 11, 12));
    EXPECT_EQ(f[0].count, 3U) << "a zombie holds nothing";
    EXPECT_EQ(f[0].memory, 20 * kPage);
    EXPECT_EQ(f[0].threads, 6U);
    EXPECT_EQ(f[0].fds, 3U);
    EXPECT_FALSE(f[0].cpu) << "needs two samples";
    EXPECT_EQ(f[1].memory, 1000 * kPage);
    for (const std::size_t gone : {2U, 3U}) {
        EXPECT_EQ(f[gone].count, 0U);
        EXPECT_THAT(f[gone].pids, IsEmpty());
        EXPECT_FALSE(f[gone].fds);
    }
}

TEST_F(Fake, CpuIsWhatTheTreeUsedSinceTheLastSample) {
    process({.pid = 10, .ticks = 5000});
    process({.pid = 11, .parent = 10, .ticks = 70});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    EXPECT_FALSE(sampler.sample(trees, now)[0].cpu);
    process({.pid = 10, .ticks = 5000 + 5 * kSecond});
    process({.pid = 11, .parent = 10, .ticks = 70 + kSecond});
    EXPECT_DOUBLE_EQ(sampler.sample(trees, now + 10s)[0].cpu.value_or(-1), 60.0);
    EXPECT_DOUBLE_EQ(sampler.sample(trees, now + 20s)[0].cpu.value_or(-1), 0.0);
}

TEST_F(Fake, AProcessThatCameSinceTheLastSampleCountsWhole) {
    process({.pid = 10});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    (void)sampler.sample(trees, now);
    process({.pid = 11, .parent = 10, .ticks = 2 * kSecond, .start = 500});
    EXPECT_DOUBLE_EQ(sampler.sample(trees, now + 10s)[0].cpu.value_or(-1), 20.0);
}

TEST_F(Fake, TicksAddUpToWhatTheTreeUsedAndNeverShrinkWithIt) {
    process({.pid = 10, .ticks = 500, .system = 50});
    process({.pid = 11, .parent = 10, .ticks = 300});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    const auto before = sampler.sample(trees, now);
    EXPECT_EQ(before[0].user_ticks + before[0].system_ticks, 0U) << "nobody knows since when";
    process({.pid = 10, .ticks = 530, .system = 57});
    process({.pid = 12, .parent = 10, .ticks = 4, .start = 200, .system = 1});
    end(11);
    const auto after = sampler.sample(trees, now + 10s);
    EXPECT_EQ(after[0].user_ticks, 34U);
    EXPECT_EQ(after[0].system_ticks, 8U);
}

TEST_F(Fake, AnOldProcessThatMovedInDoesNotBringItsWholeLife) {
    process({.pid = 10, .start = 300});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    (void)sampler.sample(trees, now);
    process({.pid = 11, .parent = 10, .ticks = 9000 * kSecond, .start = 50});
    EXPECT_DOUBLE_EQ(sampler.sample(trees, now + 10s)[0].cpu.value_or(-1), 0.0);
}

TEST_F(Fake, ANewProcessUnderAnOldNumberStartsAfresh) {
    process({.pid = 10, .ticks = 3 * kSecond, .start = 100});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    (void)sampler.sample(trees, now);
    process({.pid = 10, .ticks = 9 * kSecond, .start = 500});
    EXPECT_FALSE(sampler.sample(trees, now + 10s)[0].cpu) << "the restarted unit has one sample";
}

TEST_F(Fake, ACgroupNeedsNoMainProcessAndHoldsThoseWithinIt) {
    for (const int pid : {30, 31, 32}) process({.pid = pid});
    put("cg/cgroup.procs", "31\n30\n");
    put("cg/worker/cgroup.procs", "32\n");
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{30, cgroup}, {0, cgroup}};
    const auto f = sampler.sample(trees, now);
    EXPECT_THAT(f[0].pids, ElementsAre(30, 31, 32)) << "the main process first";
    EXPECT_THAT(f[1].pids, ElementsAre(31, 30, 32));
    EXPECT_EQ(sampler.reads(), 3U) << "each process once, though two units hold it";
}

TEST_F(Fake, ACgroupThatCannotBeReadIsReplacedByAncestry) {
    process({.pid = 10});
    process({.pid = 11, .parent = 10});
    children(10, "11 ");
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, root + "/no-such-cgroup"}};
    EXPECT_THAT(sampler.sample(trees, now)[0].pids, ElementsAre(10, 11));
}

TEST_F(Fake, ManyUnitsAreFoundByOnePassOverProc) {
    std::vector<TreeRef> trees;
    for (int i = 0; i < 50; ++i) {
        process({.pid = 100 + i});
        children(100 + i, "");
        trees.push_back({100 + i, ""});
    }
    process({.pid = 200, .parent = 149});
    TreeSampler sampler(root);
    const auto f = sampler.sample(trees, now);
    EXPECT_EQ(sampler.reads(), 51U);
    EXPECT_THAT(f[49].pids, ElementsAre(149, 200)) << "by its parent: no list of children says so";
}

TEST_F(Fake, AFewUnitsOnACrowdedHostReadOnlyTheirOwn) {
    process({.pid = 10});
    process({.pid = 11, .parent = 10});
    children(10, "11 ");
    children(11, "");
    crowd(1000, 100);
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    EXPECT_THAT(sampler.sample(trees, now)[0].pids, ElementsAre(10, 11));
    EXPECT_EQ(sampler.reads(), 2U);
}

TEST_F(Fake, WithoutListsOfChildrenACrowdIsScannedToo) {
    process({.pid = 10});
    process({.pid = 11, .parent = 10});
    crowd(1000, 100);
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    EXPECT_THAT(sampler.sample(trees, now)[0].pids, ElementsAre(10, 11));
}

TEST_F(Fake, DescriptorsThatMustBeListedAreCountedEverySixthTime) {
    process({.pid = 10, .fds = 2});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    EXPECT_EQ(sampler.sample(trees, now)[0].fds, 2U);
    process({.pid = 10, .fds = 5});
    for (int i = 1; i < 6; ++i) EXPECT_EQ(sampler.sample(trees, now + i * 10s)[0].fds, 2U) << i;
    EXPECT_EQ(sampler.sample(trees, now + 60s)[0].fds, 5U);
    process({.pid = 10, .start = 999, .fds = 7});
    EXPECT_EQ(sampler.sample(trees, now + 70s)[0].fds, 7U) << "a new process is asked at once";
    end(10);
    EXPECT_EQ(sampler.sample(trees, now + 80s)[0].count, 0U);
}

TEST_F(Fake, OnlyTheFirstPidsAreListedButAllAreCounted) {
    process({.pid = 10});
    for (int i = 0; i < 100; ++i) process({.pid = 1000 + i, .parent = 10});
    TreeSampler sampler(root);
    const std::vector<TreeRef> trees = {{10, ""}};
    const auto f = sampler.sample(trees, now);
    EXPECT_EQ(f[0].count, 101U);
    EXPECT_EQ(f[0].pids.size(), TreeSampler::kMaxPids);
    EXPECT_EQ(f[0].pids.front(), 10);
}

TEST(RealSampler, SeesTheDescriptorsAndTheChildOfThisProcess) {
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    TreeSampler sampler;
    const std::vector<TreeRef> trees = {{getpid(), ""}};
    const auto f = sampler.sample(trees, Instant(1s));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(pipes[0]);
    close(pipes[1]);
    EXPECT_THAT(f[0].pids, testing::Contains(child));
    EXPECT_EQ(f[0].pids.front(), getpid());
    EXPECT_GE(f[0].fds.value_or(0), 10U) << "five and more in each of the two";
    EXPECT_GT(f[0].memory, 100'000U);
}
