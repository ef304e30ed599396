// Reading /proc: fixtures with hostile content, and the real one with this very process.
#include "watchers/host_sampler.h"
#include "watchers/procfs.h"
#include "watchers/self_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace keepwell;

namespace {

struct FakeProc : testing::Test {
    std::string root = make_root();
    static std::string make_root() {
        std::string name = testing::TempDir() + "kw-proc-XXXXXX";
        return mkdtemp(name.data());
    }
    ~FakeProc() override { std::filesystem::remove_all(root); }
    void put(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = root + "/" + name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }
    void process(int pid, int parent, const std::string& name = "x") const {
        put(std::to_string(pid) + "/stat",
            std::to_string(pid) + " (" + name + ") S " + std::to_string(parent) +
                " 7 8 0 -1 0 1 2 3 4 50 25 0 0 20 0 3 0 12345 1000000 10 0 0\n");
    }
};

} // namespace

TEST(ParseStat, TakesEveryFieldFromItsPlace) {
    const auto s = parse_stat("41 (my (odd) name) R 1 7 8 0 -1 4194560 1 2 3 4 50 25 1 1 20 0 3 0 "
                              "12345 1000000 10 18446744073709551615 0");
    ASSERT_TRUE(s);
    EXPECT_EQ(s->pid, 41);
    EXPECT_EQ(s->name, "my (odd) name");
    EXPECT_EQ(s->state, 'R');
    EXPECT_EQ(s->parent, 1);
    EXPECT_EQ(s->group, 7);
    EXPECT_EQ(s->session, 8);
    EXPECT_EQ(s->user_ticks, 50U);
    EXPECT_EQ(s->system_ticks, 25U);
    EXPECT_EQ(s->threads, 3U);
    EXPECT_EQ(s->start_ticks, 12345U);
    EXPECT_EQ(s->rss_pages, 10U);
}

TEST(ParseStat, RefusesGarbage) {
    for (const char* text : {"", "(", ")(", "x (a) S 1", "1 (a)", "1 (a) S", "1 (a) S 1 2 3",
                             "1 a S", "99999999999999999999 (a) S 1 2"})
        EXPECT_FALSE(parse_stat(text)) << text;
}

TEST_F(FakeProc, SampleHasFiguresAndNothingForAMissingProcess) {
    process(41, 1, "a) R 1 (b");
    put("41/fd/0", "");
    put("41/fd/1", "");
    const Procfs proc(root);
    const auto s = proc.sample_process(41, true);
    ASSERT_TRUE(s);
    EXPECT_EQ(s->cpu_ticks, 75U);
    EXPECT_EQ(s->rss_bytes, 10U * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)));
    EXPECT_EQ(s->threads, 3U);
    EXPECT_EQ(s->start_ticks, 12345U);
    EXPECT_EQ(s->open_fds, 2U);
    EXPECT_FALSE(proc.sample_process(41)->open_fds) << "costs a listing: only when asked for";
    EXPECT_FALSE(proc.sample_process(42));
    EXPECT_TRUE(proc.tree(42).empty());
}

TEST_F(FakeProc, TreeFollowsTheChildrenOfEveryThread) {
    for (const auto& [pid, parent] : {std::pair{10, 1}, {11, 10}, {12, 10}, {13, 11}, {14, 1}})
        process(pid, parent);
    put("10/task/10/children", "11 ");
    put("10/task/99/children", "12 ");
    put("11/task/11/children", "13 \n");
    EXPECT_THAT(Procfs(root).tree(10), testing::UnorderedElementsAre(10, 11, 12, 13));
    EXPECT_EQ(Procfs(root).tree(10).front(), 10);
    EXPECT_EQ(Procfs(root).tree(10, 2).size(), 2U);
}

TEST_F(FakeProc, TreeIsFoundByScanWhereTheKernelListsNoChildren) {
    for (const auto& [pid, parent] : {std::pair{10, 1}, {11, 10}, {12, 10}, {13, 11}, {14, 1}})
        process(pid, parent);
    put("self-made/stat", "nonsense");
    EXPECT_THAT(Procfs(root).tree(10), testing::UnorderedElementsAre(10, 11, 12, 13));
}

TEST(RealProc, KnowsThisProcessAndItsChild) {
    const Procfs proc;
    const auto me = proc.sample_process(getpid(), true);
    ASSERT_TRUE(me);
    EXPECT_GT(me->rss_bytes, 100'000U);
    EXPECT_EQ(me->threads, 1U);
    EXPECT_GE(me->open_fds.value_or(0), 3U);
    EXPECT_EQ(me->parent, getppid());
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    EXPECT_THAT(proc.tree(getpid()), testing::Contains(child));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_FALSE(proc.sample_process(child));
}

TEST(CpuPercent, IsTheShareOfOneCoreAndZeroForAnotherProcess) {
    ProcessSample before, after;
    before.start_ticks = after.start_ticks = 5;
    before.cpu_ticks = 100;
    after.cpu_ticks = 100 + static_cast<std::uint64_t>(ticks_per_second());
    EXPECT_DOUBLE_EQ(cpu_percent(before, after, 2.0), 50.0);
    EXPECT_DOUBLE_EQ(cpu_percent(after, before, 2.0), 0.0);
    EXPECT_DOUBLE_EQ(cpu_percent(before, after, 0.0), 0.0);
    after.start_ticks = 6;
    EXPECT_DOUBLE_EQ(cpu_percent(before, after, 2.0), 0.0);
}

TEST_F(FakeProc, HostFiguresComeFromTheFiles) {
    put("stat", "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\nintr 5\n");
    put("loadavg", "0.50 1.25 2.00 1/100 4711\n");
    put("meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n");
    put("net/dev", "Inter-|   Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
                   "  eth0: 1000 10 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n"
                   "eth1:1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n");
    HostSampler sampler(root);
    auto m = sampler.sample({root, root + "/nothing"});
    EXPECT_DOUBLE_EQ(m.cpu_percent, 20.0) << "since boot";
    EXPECT_EQ(m.cpu_count, 2U);
    EXPECT_DOUBLE_EQ(m.load[1], 1.25);
    EXPECT_EQ(m.memory_total, 1'024'000U);
    EXPECT_EQ(m.memory_available, 409'600U);
    EXPECT_EQ(m.net_received, 1001U);
    EXPECT_EQ(m.net_packets_received, 11U);
    EXPECT_EQ(m.net_sent, 501U);
    EXPECT_EQ(m.net_packets_sent, 6U);
    ASSERT_EQ(m.disks.size(), 2U);
    EXPECT_EQ(m.disks[0].path, root);
    EXPECT_GT(m.disks[0].total, 0U);
    EXPECT_LE(m.disks[0].used, m.disks[0].total);
    EXPECT_EQ(m.disks[1].total, 0U);
    put("stat", "cpu  150 0 125 725 100 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\n");
    EXPECT_DOUBLE_EQ(sampler.sample().cpu_percent, 75.0) << "since the last sample";
    EXPECT_DOUBLE_EQ(sampler.sample().cpu_percent, 0.0) << "no time passed";
}

TEST_F(FakeProc, WhatCannotBeReadStaysZero) {
    HostSampler sampler(root + "/nothing");
    const auto m = sampler.sample({root + "/nothing"});
    EXPECT_EQ(m.memory_total, 0U);
    EXPECT_EQ(m.disks.at(0).total, 0U);
    EXPECT_DOUBLE_EQ(m.cpu_percent, 0.0);
}

TEST(RealProc, AThousandSamplesAreCheap) {
    const Procfs proc;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(proc.sample_process(getpid()));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    RecordProperty("ms", std::to_string(took.count()));
    std::printf("1000 samples: %.1f ms\n", took.count());
    EXPECT_LT(took.count(), 500.0); // generous: the machine may be busy and the build a debug one
}

TEST(SelfSampler, FindsTheBootTimeOnlyAtTheStartOfALine) {
    EXPECT_EQ(parse_boot_time("cpu 1 2\nnot-btime 7\nbtime 1700000000\nprocesses 3\n"),
              1'700'000'000);
    EXPECT_EQ(parse_boot_time("btime 5\n"), 5);
    EXPECT_EQ(parse_boot_time("cpu 1 2\n"), 0);
}

TEST(SelfSampler, SeesThisProcess) {
    const SelfFigures f = sample_self();
    EXPECT_GT(f.resident_bytes, 100'000U);
    EXPECT_GT(f.virtual_bytes, f.resident_bytes);
    EXPECT_GE(f.open_fds.value_or(0), 3U);
    EXPECT_GT(f.start_time, 1e9);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    EXPECT_LE(f.start_time, std::chrono::duration<double>(now).count() + 2);
}

TEST(SelfSampler, AFolderThatIsNoProcGivesNothing) {
    EXPECT_EQ(sample_self("/nowhere-at-all").start_time, 0);
}
