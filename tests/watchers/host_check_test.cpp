// The host check against a /proc of files and, as root, a small file system of its own.
#include "watchers/host_check.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

struct HostCheck : testing::Test {
    HostCheck() {
        std::string name = testing::TempDir() + "kw-host-XXXXXX";
        proc = mkdtemp(name.data());
        write("meminfo", "MemTotal:        1000 kB\nMemFree:  10 kB\nMemAvailable:     200 kB\n"
                         "SwapTotal:        400 kB\nSwapFree:         300 kB\n");
        write("loadavg", "6.00 1.00 0.50 1/100 4711\n");
        write("stat", "cpu  1 2 3 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8\ncpu1 1 2 3 4 5 6 7 8\n");
    }
    ~HostCheck() override {
        if (mounted) umount2((proc + "/disk").c_str(), MNT_DETACH);
        std::error_code ignored;
        std::filesystem::remove_all(proc, ignored);
    }
    void write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories(std::filesystem::path(proc + "/" + name).parent_path());
        std::ofstream(proc + "/" + name) << text;
    }
    Observation look(const HostCheckSpec& spec) { return look_at_host(spec, memory, now, proc); }

    std::string proc;
    bool mounted = false;
    HostMemory memory;
    Instant now{1h};
};

} // namespace

TEST_F(HostCheck, MemorySwapAndLoadUnderTheirLimitsPassAndAreShown) {
    HostCheckSpec spec;
    spec.memory = 80;
    spec.swap = 50;
    spec.load = 3;
    const Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Pass);
    EXPECT_EQ(seen.output, "memory 80 %, swap 25 %, load 3 per core");
}

TEST_F(HostCheck, WhatIsOverItsLimitIsNamedAndNothingElse) {
    HostCheckSpec spec;
    spec.memory = 79.5;
    spec.swap = 50;
    spec.load = 2.75;
    const Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen.output, "memory 80 % > 79.5 %, load 3 per core > 2.75 per core");
}

TEST_F(HostCheck, ForWaitsUntilItLastedWithoutABreak) {
    HostCheckSpec spec;
    spec.memory = 50;
    spec.hold = 1min;
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass);
    now += 59s;
    EXPECT_EQ(look(spec).output, "memory 80 % > 50 % for 59s");
    write("meminfo", "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
    EXPECT_EQ(look(spec).output, "memory 10 %");
    write("meminfo", "MemTotal: 1000 kB\nMemAvailable: 100 kB\n");
    now += 10s;
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass) << "the break counts";
    now += 60s;
    const Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen.output, "memory 90 % > 50 % for 60s");
}

TEST_F(HostCheck, PressureIsReadAndItsLackIsAWarning) {
    HostCheckSpec spec;
    spec.io_pressure = 20;
    Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Warn);
    EXPECT_EQ(seen.output, "io pressure is not available here (the kernel has no PSI; remove it)");
    write("pressure/io", "some avg10=21.50 avg60=1.00 avg300=0.00 total=1\n"
                         "full avg10=99.00 avg60=1.00 avg300=0.00 total=1\n");
    seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail);
    EXPECT_EQ(seen.output, "io pressure 21.5 % > 20 %");
    spec.io_pressure = 21.5;
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass);
}

TEST_F(HostCheck, AHostWithoutSwapUsesNone) {
    write("meminfo", "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
    HostCheckSpec spec;
    spec.swap = 0;
    EXPECT_EQ(look(spec).output, "swap 0 %");
    spec.memory = 90;
    EXPECT_EQ(look(spec).output, "memory is not available here");
}

TEST_F(HostCheck, ADiskThatIsNotThereIsAWarning) {
    HostCheckSpec spec;
    spec.disk = {{proc + "/none", 90, std::nullopt}};
    const Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Warn);
    EXPECT_EQ(seen.output, "cannot look at disk " + proc + "/none: No such file or directory");
}

TEST_F(HostCheck, DisksAndInodesOfAFileSystem) {
    std::filesystem::create_directory(proc + "/disk");
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        mount("none", (proc + "/disk").c_str(), "tmpfs", 0, "size=1M,nr_inodes=20") != 0)
        GTEST_SKIP() << "needs root";
    mounted = true;
    HostCheckSpec spec;
    spec.disk = {{proc + "/disk", 80, 256U << 10}};
    spec.inodes = {{proc + "/disk", 50, std::nullopt}};
    EXPECT_EQ(look(spec).outcome, CheckOutcome::Pass) << look(spec).output;
    write("disk/big", std::string(900U << 10, 'x'));
    EXPECT_EQ(look(spec).output,
              "disk " + proc + "/disk 87.89 % > 80 %, disk " + proc + "/disk has 124K free < 256K");
    std::filesystem::remove(proc + "/disk/big");
    for (int i = 0; i < 15; ++i) write("disk/" + std::to_string(i), "");
    const Observation seen = look(spec);
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail);
    EXPECT_TRUE(seen.output.starts_with("inodes " + proc + "/disk 80 % > 50 %")) << seen.output;
}
