// The checks that look at this host, against real processes, sockets and files.
#include "watchers/local_checks.h"

#include "tests/support/byte_server.h"
#include "watchers/port_holder.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

WallTime wall_now() {
    return {std::chrono::duration_cast<std::chrono::milliseconds>(
                std::chrono::system_clock::now().time_since_epoch())
                .count()};
}

struct LocalChecks : testing::Test {
    LocalChecks() {
        std::string name = testing::TempDir() + "kw-local-XXXXXX";
        folder = mkdtemp(name.data());
    }
    ~LocalChecks() override {
        for (const pid_t pid : children) {
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
        std::filesystem::remove_all(folder);
    }
    std::string file(const std::string& name, const std::string& text) const {
        std::ofstream(folder / name) << text;
        return folder / name;
    }
    // A child that runs `body` and then waits; it exists under its final name when this returns.
    template <class F>
    pid_t child(const F& body) {
        int ready[2];
        EXPECT_EQ(pipe(ready), 0);
        const pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            body();
            (void)!write(ready[1], "x", 1);
            for (;;) pause();
        }
        char c = 0;
        EXPECT_EQ(read(ready[0], &c, 1), 1);
        close(ready[0]);
        close(ready[1]);
        children.push_back(pid);
        return pid;
    }
    static ProcessTable::Entries table() { return ProcessTable().entries(Instant(1h)); }

    std::filesystem::path folder;
    std::vector<pid_t> children;
};

FileCheckSpec file_spec(const std::string& path) {
    FileCheckSpec spec;
    spec.path = path;
    return spec;
}

} // namespace

// ---- file

TEST_F(LocalChecks, FileIsJudgedByAgeSizeAndContents) {
    FileCheckSpec spec = file_spec(file("a", "hello world\n"));
    EXPECT_EQ(look_at_file(spec, wall_now()).outcome, CheckOutcome::Pass);
    spec.contains = "lo wor";
    EXPECT_EQ(look_at_file(spec, wall_now()).outcome, CheckOutcome::Pass);
    spec.contains = "absent";
    EXPECT_EQ(look_at_file(spec, wall_now()).output, "does not contain \"absent\"");
    spec.contains.clear();
    spec.max_size = 11;
    EXPECT_EQ(look_at_file(spec, wall_now()).output, "has 12B > 11B");
    spec.max_size = 12;
    spec.max_age = 10min;
    EXPECT_EQ(look_at_file(spec, wall_now()).outcome, CheckOutcome::Pass);
    const WallTime later{wall_now().ms + 3'600'000};
    const Observation old = look_at_file(spec, later);
    EXPECT_EQ(old.outcome, CheckOutcome::Fail);
    EXPECT_TRUE(old.output.find("old > 600s") != std::string::npos) << old.output;
}

TEST_F(LocalChecks, WhatIsNoFileIsSaid) {
    EXPECT_EQ(look_at_file(file_spec(folder / "none"), wall_now()).output, "does not exist");
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
    FileCheckSpec pipe = file_spec(folder / "pipe");
    pipe.contains = "x"; // opening it for reading would wait for a writer for ever
    EXPECT_EQ(look_at_file(pipe, wall_now()).output, "is neither a regular file nor a folder");
    FileCheckSpec in_folder = file_spec(folder);
    in_folder.contains = "x";
    EXPECT_EQ(look_at_file(in_folder, wall_now()).output, "is not a regular file");
}

TEST_F(LocalChecks, TheEndOfALargeFileIsReadAndNotMore) {
    FileCheckSpec spec = file_spec(file("big", "first" + std::string(3U << 20, '.') + "last"));
    spec.contains = "last";
    EXPECT_EQ(look_at_file(spec, wall_now()).outcome, CheckOutcome::Pass);
    spec.contains = "first";
    EXPECT_EQ(look_at_file(spec, wall_now()).outcome, CheckOutcome::Fail);
}

TEST_F(LocalChecks, AFolderIsWritableWhenABlockCanBeWritten) {
    FileCheckSpec spec = file_spec(folder);
    spec.writable = true;
    EXPECT_EQ(look_at_file(spec, wall_now()).outcome, CheckOutcome::Pass);
    EXPECT_TRUE(std::filesystem::is_empty(folder)) << "nothing is left behind";
    spec.path = "/proc/self";
    const Observation proc = look_at_file(spec, wall_now());
    EXPECT_EQ(proc.outcome, CheckOutcome::Fail);
    EXPECT_TRUE(proc.output.starts_with("cannot be written: ")) << proc.output;
}

// ---- process

TEST_F(LocalChecks, PatternsArePartsOrGlobsWithoutCase) {
    const ProcessEntry p{7, "python3", "python3.11", "/usr/bin/python3.11 -m Celery worker"};
    EXPECT_TRUE(matches(p, "celery WORKER"));
    EXPECT_TRUE(matches(p, "PYTHON3"));
    EXPECT_TRUE(matches(p, "python3.*"));
    EXPECT_TRUE(matches(p, "*celery*"));
    EXPECT_FALSE(matches(p, "celery*")) << "a glob is the whole of a name or the command line";
    EXPECT_FALSE(matches(p, "nginx"));
}

TEST_F(LocalChecks, MatchingProcessesAreCountedBetweenMinAndMax) {
    const auto name = "kwp-" + std::to_string(getpid());
    ProcessCheckSpec spec;
    spec.match = {name};
    EXPECT_EQ(look_at_processes(spec, table()).output, "no process matches \"" + name + "\"");
    for (int i = 0; i < 2; ++i) child([&] { prctl(PR_SET_NAME, name.c_str()); });
    EXPECT_EQ(look_at_processes(spec, table()).output, "2 processes match");
    spec.max = 1;
    EXPECT_EQ(look_at_processes(spec, table()).output, "2 processes match, at most 1 wanted");
    spec.max.reset();
    spec.min = 3;
    EXPECT_EQ(look_at_processes(spec, table()).output, "2 processes match, at least 3 wanted");
    spec.min = 1;
    spec.exclude = {name + "*"};
    EXPECT_EQ(look_at_processes(spec, table()).outcome, CheckOutcome::Fail);
}

TEST_F(LocalChecks, KeepwellItselfIsNeverFound) {
    for (const char* name : {"keepwell", "keepwell-keeper"})
        child([&] { prctl(PR_SET_NAME, name); });
    const ProcessTable::Entries all = table();
    for (const ProcessEntry& p : *all)
        for (const pid_t pid : children) EXPECT_NE(p.pid, pid);
}

TEST_F(LocalChecks, OneScanASecondServesEverybody) {
    ProcessTable shared;
    const Instant begin{1h};
    for (int i = 0; i < 100; ++i) shared.entries(begin + i * 9ms);
    EXPECT_EQ(shared.scans(), 1U);
    shared.entries(begin + 1s);
    EXPECT_EQ(shared.scans(), 2U);
}

// ---- port

TEST_F(LocalChecks, PortIsBoundFreeAndOwn) {
    auto server = std::make_unique<ByteServer>([](int, const auto&) {});
    PortCheckSpec spec;
    spec.port = server->port();
    const std::string name = "port " + std::to_string(spec.port);
    EXPECT_EQ(look_at_port(spec, {}).output, name + " is bound");
    spec.own = true;
    EXPECT_EQ(look_at_port(spec, {getpid(), ""}).output, name + " is bound by this unit");
    const pid_t other = child([] {});
    // The child inherited the listener, so it holds it as well; one that did not is another matter.
    const pid_t stranger = child([] {
        for (int fd = 3; fd < 256; ++fd) {
            struct stat info {};
            if (fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode)) close(fd);
        }
    });
    EXPECT_EQ(look_at_port(spec, {other, ""}).outcome, CheckOutcome::Pass);
    const Observation foreign = look_at_port(spec, {stranger, ""});
    EXPECT_EQ(foreign.outcome, CheckOutcome::Fail);
    EXPECT_TRUE(foreign.output.starts_with(name + " is held by ")) << foreign.output;
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    std::erase(children, other);
    spec.own = false;
    spec.expect = PortExpect::Free;
    const std::string self = "(" + std::to_string(getpid()) + ")";
    EXPECT_TRUE(look_at_port(spec, {}).output.ends_with(self)) << look_at_port(spec, {}).output;
    server.reset();
    EXPECT_EQ(look_at_port(spec, {}).output, name + " is free");
    spec.expect = PortExpect::Bound;
    EXPECT_EQ(look_at_port(spec, {}).output, "nobody listens on " + name);
}

// ---- resource

TEST_F(LocalChecks, ResourcesOfTheWholeTreeAreAddedUp) {
    const pid_t root = child([this] {
        for (int i = 0; i < 3; ++i)
            if (fork() == 0)
                for (;;) pause();
    });
    ResourceCheckSpec spec;
    spec.children = 3;
    ResourceMemory memory;
    EXPECT_EQ(look_at_resources(spec, {root, ""}, memory, Instant(1h)).outcome, CheckOutcome::Pass);
    spec.children = 2;
    EXPECT_EQ(look_at_resources(spec, {root, ""}, memory, Instant(1h)).output, "children 3 > 2");
    spec.children.reset();
    spec.memory = 4096;
    EXPECT_TRUE(
        look_at_resources(spec, {root, ""}, memory, Instant(1h)).output.starts_with("memory "));
    spec.memory.reset();
    spec.threads = 3;
    EXPECT_EQ(look_at_resources(spec, {root, ""}, memory, Instant(1h)).output, "threads 4 > 3");
    for (const auto pid : Procfs().tree(root))
        if (pid != root) kill(static_cast<pid_t>(pid), SIGKILL);
}

TEST_F(LocalChecks, DescriptorsAreCounted) {
    const pid_t root = child([] {
        for (int i = 0; i < 50; ++i) (void)!dup(0);
    });
    ResourceCheckSpec spec;
    spec.fds = 40;
    ResourceMemory memory;
    EXPECT_TRUE(look_at_resources(spec, {root, ""}, memory, Instant(1h))
                    .output.starts_with("descriptors "));
}

TEST_F(LocalChecks, ALimitMustBeExceededForATimeWithoutABreak) {
    const pid_t root = child([] {});
    ResourceCheckSpec spec;
    spec.hold = 30s;
    spec.memory = 1;
    ResourceMemory memory;
    const auto at = [&](Duration t) {
        return look_at_resources(spec, {root, ""}, memory, Instant(t));
    };
    EXPECT_EQ(at(100s).outcome, CheckOutcome::Pass);
    EXPECT_EQ(at(120s).outcome, CheckOutcome::Pass);
    spec.memory = 1U << 30;
    EXPECT_EQ(at(125s).outcome, CheckOutcome::Pass) << "a break: it counts anew";
    spec.memory = 1;
    EXPECT_EQ(at(131s).outcome, CheckOutcome::Pass);
    EXPECT_EQ(at(160s).outcome, CheckOutcome::Pass);
    const Observation over = at(161s);
    EXPECT_EQ(over.outcome, CheckOutcome::Fail);
    EXPECT_TRUE(over.output.ends_with(" for 30s")) << over.output;
}

TEST_F(LocalChecks, CpuIsKnownFromTheSecondLookOn) {
    const pid_t root = child([] {
        if (fork() == 0)
            for (;;) (void)getppid();
    });
    ResourceCheckSpec spec;
    spec.cpu = 5;
    ResourceMemory memory;
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(look_at_resources(spec, {root, ""}, memory, Instant(100s)).outcome,
              CheckOutcome::Pass);
    Observation seen;
    do {
        std::this_thread::sleep_for(50ms);
        const auto real = std::chrono::steady_clock::now() - start;
        ResourceMemory copy = memory;
        seen = look_at_resources(spec, {root, ""}, copy, Instant(100s + real));
    } while (seen.outcome == CheckOutcome::Pass && std::chrono::steady_clock::now() - start < 10s);
    EXPECT_EQ(seen.outcome, CheckOutcome::Fail) << seen.output;
    EXPECT_TRUE(seen.output.starts_with("cpu ")) << seen.output;
    for (const auto pid : Procfs().tree(root))
        if (pid != root) kill(static_cast<pid_t>(pid), SIGKILL);
}

TEST_F(LocalChecks, AProcessThatIsGoneFailsAndForgets) {
    ResourceCheckSpec spec;
    spec.memory = 1;
    ResourceMemory memory;
    EXPECT_EQ(look_at_resources(spec, {0, ""}, memory, Instant(1h)).output,
              "no process to look at");
}
