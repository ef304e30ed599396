#include "tests/keeper/fixture.h"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>

namespace keepwell::test {

class Life : public KeeperTest {
  protected:
    void begin(std::vector<std::string> extra = {}) {
        start_keeper(std::move(extra));
        connect();
    }
    void next_keeper() {
        client.reset();
        kill_keeper();
        start_keeper();
        connect();
    }
};

TEST_P(Life, TheStagingPipesAreTheSameForEverySupervisor) {
    begin();
    ASSERT_EQ(stages.size(), 4U);
    ASSERT_EQ(::write(stages[1].get(), "left", 4), 4);
    EXPECT_EQ(client->keeper_pid(), keeper);
    kill_supervisor();
    connect();
    char text[8] = {};
    EXPECT_EQ(::read(stages[0].get(), text, sizeof text), 4);
    EXPECT_STREQ(text, "left");
}

TEST_P(Life, ExitsCarryCodeOrSignal) {
    begin();
    ASSERT_NE(spawn(shell("code", "exit 17")), 0);
    ASSERT_NE(spawn(shell("signal", "kill -SEGV $$")), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "code") && wait_for(Seen::TreeEmpty, "signal"));
    EXPECT_TRUE(find(Seen::Exited, "code")->status.known);
    EXPECT_EQ(find(Seen::Exited, "code")->status.code, 17);
    EXPECT_EQ(find(Seen::Exited, "signal")->status.signal, SIGSEGV);
}

TEST_P(Life, AnExitIsRepeatedToEachSupervisorUntilItIsAcknowledged) {
    begin();
    ack_all = false;
    ASSERT_NE(spawn(shell("a", "echo last words; exit 3"), 7), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    for (int i = 0; i < 2; ++i) {
        kill_supervisor();
        connect();
        ASSERT_NE(find(Seen::Exited, "a", 7), nullptr);
        EXPECT_EQ(find(Seen::Exited, "a", 7)->status.code, 3);
        EXPECT_NE(find(Seen::TreeEmpty, "a", 7), nullptr);
    }
    EXPECT_EQ(output("a", "words"), "last words\n") << "unread output outlives child and reader";
    client->ack("a", 7);
    ASSERT_NE(spawn(unit("b", {"/bin/true"})), 0); // the ack came before this
    kill_supervisor();
    connect();
    EXPECT_EQ(find(Seen::Exited, "a"), nullptr);
}

TEST_P(Life, LastWordsThatNobodyReadOutliveTheAcknowledgement) {
    begin();
    ASSERT_NE(spawn(shell("a", "echo last words"), 7), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 7));
    ASSERT_NE(spawn(shell("a", "echo others; sleep 60"), 8), 0) << "their name is free";
    kill_supervisor();
    connect();
    EXPECT_EQ(find(Seen::Exited, "a", 7), nullptr) << "what was acknowledged is not told again";
    ASSERT_NE(find(Seen::Adopted, "a", 8), nullptr);
    EXPECT_EQ(output("a@8", "\n"), "others\n");
    ASSERT_EQ(output("a@7", "words"), "last words\n");
    EXPECT_TRUE(wait([&] {
        outputs.clear();
        kill_supervisor();
        connect();
        return outputs.count("a@7") == 0;
    })) << "what is read is not kept";
    client->signal("a", 8, SIGKILL, SignalScope::Tree);
    EXPECT_TRUE(wait_for(Seen::TreeEmpty, "a", 8));
}

TEST_P(Life, LeftOversOfAnAcknowledgedExitAreKnownToTheNextSupervisor) {
    begin();
    ASSERT_NE(spawn(shell("a", "sleep 60 & exit 3"), 7), 0);
    ASSERT_TRUE(wait_for(Seen::Exited, "a", 7));
    ASSERT_NE(spawn(unit("b", {"/bin/true"})), 0); // the ack came before this
    kill_supervisor();
    connect();
    ASSERT_NE(find(Seen::Exited, "a", 7), nullptr);
    EXPECT_EQ(find(Seen::Exited, "a", 7)->status.code, 3);
    EXPECT_EQ(find(Seen::Adopted, "a"), nullptr);
    EXPECT_EQ(find(Seen::TreeEmpty, "a"), nullptr);
    client->signal("a", 7, SIGKILL, SignalScope::Tree);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 7));
}

TEST_P(Life, AKilledSupervisorTouchesNoDaemonAndLosesNoExit) {
    begin();
    const auto pid = spawn(shell("a", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done"));
    ASSERT_NE(pid, 0);
    EXPECT_EQ(output("a", "up"), "up\n");
    kill_supervisor();
    ::kill(static_cast<pid_t>(pid), SIGTERM);
    connect();
    ASSERT_NE(find(Seen::Adopted, "a"), nullptr);
    EXPECT_EQ(find(Seen::Adopted, "a")->pid, pid);
    ASSERT_TRUE(wait_for(Seen::Exited, "a"));
    EXPECT_EQ(find(Seen::Exited, "a")->status.code, 9);
}

TEST_P(Life, TheNextKeeperAdoptsWithTheSamePidAndOutput) {
    begin();
    const auto pid = spawn(shell("a", "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done"), 5);
    ASSERT_NE(pid, 0);
    next_keeper();
    const Seen* s = find(Seen::Adopted, "a", 5);
    ASSERT_NE(s, nullptr) << keeper_errors();
    EXPECT_EQ(s->pid, pid);
    EXPECT_EQ(client->owns_tree("a"), full());
    EXPECT_NE(output("a", "\n"), "") << "no SIGPIPE, and the pipe was found again";
    EXPECT_TRUE(alive(pid));
    client->signal("a", 5, SIGKILL, SignalScope::Tree);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 5));
    const ExitStatus& status = find(Seen::Exited, "a", 5)->status;
    EXPECT_EQ(status.signal, status.known ? SIGKILL : 0);
    EXPECT_TRUE(full() || !status.known) << "not our child, and the kernel was not asked";
    EXPECT_NE(spawn(unit("a", {"/bin/true"}), 6), 0);
}

TEST_P(Life, AStderrOfItsOwnSurvivesBothKindsOfKill) {
    begin();
    UnitSpec spec = shell("a", "while read -r line; do echo out; echo err >&2; done < fifo");
    spec.log.separate_stderr = true;
    spec.process.directory = path("");
    ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
    const UniqueFd fifo(::open(path("fifo").c_str(), O_RDWR | O_CLOEXEC));
    const auto ask = [&] { return ::write(fifo.get(), "\n", 1) == 1; };
    ASSERT_NE(spawn(spec), 0);
    ASSERT_TRUE(ask());
    EXPECT_EQ(output("a", "out\n"), "out\n");
    EXPECT_EQ(output("a!", "err\n"), "err\n");
    disconnect();
    kill_supervisor();
    ASSERT_TRUE(ask());
    connect();
    EXPECT_EQ(output("a", "out\n"), "out\n");
    EXPECT_EQ(output("a!", "err\n"), "err\n");
    next_keeper();
    ASSERT_TRUE(ask());
    EXPECT_EQ(output("a", "out\n"), "out\n");
    EXPECT_EQ(output("a!", "err\n"), "err\n");
}

TEST_P(Life, WhatDiedWithoutAKeeperIsNeverInvented) {
    begin();
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}));
    ASSERT_NE(pid, 0);
    client.reset();
    kill_keeper();
    ::kill(static_cast<pid_t>(pid), SIGKILL);
    ASSERT_TRUE(wait([&] { return !alive(pid); }));
    start_keeper();
    connect();
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    // Known only where the kernel tells it (a zombie that its new parent reaps under our eyes).
    const ExitStatus& status = find(Seen::Exited, "a")->status;
    EXPECT_EQ(status.signal, status.known ? SIGKILL : 0);
    EXPECT_TRUE(full() || !status.known);
}

TEST_P(Life, ASecondKeeperIsRefusedAndNamesTheFirst) {
    begin();
    const pid_t first = keeper;
    start_keeper();
    const int status = wait_keeper();
    keeper = first;
    EXPECT_EQ(WEXITSTATUS(status), 1);
    EXPECT_NE(keeper_errors().find("cannot start: keepwell is already running as pid " +
                                   std::to_string(first) + " (" + path("run/lock")),
              std::string::npos)
        << keeper_errors();
}

TEST_P(Life, TheClientSeesTheKeepersDeath) {
    begin();
    kill_keeper();
    EXPECT_TRUE(wait([&] { return lost; }));
}

TEST_P(Life, FinishedEndsTheKeeperWithThatCode) {
    begin();
    ::kill(keeper, SIGHUP);
    EXPECT_TRUE(wait([&] { return reload_asked; }));
    ::kill(keeper, SIGTERM);
    ASSERT_TRUE(wait([&] { return stop_asked; }));
    client->finished(3);
    client.reset();
    ::kill(supervisor, SIGTERM);
    EXPECT_EQ(WEXITSTATUS(wait_keeper()), 3);
    EXPECT_TRUE(marked().empty());
}

TEST_P(Life, WithoutASupervisorSigtermEndsEveryTree) {
    begin();
    ASSERT_NE(spawn(unit("a", {"/bin/sleep", "60"})), 0);
    ASSERT_NE(spawn(shell("b", "sleep 60 & sleep 61")), 0);
    ::kill(keeper, SIGTERM);
    ASSERT_TRUE(wait([&] { return stop_asked; }));
    kill_supervisor();
    const int status = wait_keeper();
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_TRUE(wait([&] { return marked().empty(); }));
}

TEST_P(Life, ASilentSupervisorIsReplacedOnceItHasSpoken) {
    begin({"KEEPWELL_TICK_MS=10"});
    const pid_t first = supervisor;
    client->alive();
    ASSERT_TRUE(wait([&] { return lost; }));
    client.reset();
    connect();
    EXPECT_NE(supervisor, first);
    EXPECT_NE(keeper_errors().find("signal 6"), std::string::npos) << keeper_errors();
}

TEST_P(Life, ABrokenStateFileIsMovedAsideWithOneLine) {
    const std::string file = path("run/keeper.state");
    const auto damage = [&](auto change) {
        client.reset();
        kill_keeper();
        change();
        start_keeper();
        connect();
    };
    begin();
    damage([&] { std::ofstream(file) << "garbage"; });
    EXPECT_TRUE(std::filesystem::exists(file + ".corrupt-1"));
    damage([&] { std::filesystem::resize_file(file, 5000); });
    EXPECT_TRUE(std::filesystem::exists(file + ".corrupt-2"));
    damage([&] {
        std::fstream f(file, std::ios::in | std::ios::out | std::ios::binary);
        f.seekp(16); // the boot id
        f << "00000000-0000-0000-0000-000000000000";
    });
    EXPECT_TRUE(std::filesystem::exists(file + ".corrupt-3"));
    EXPECT_NE(keeper_errors().find("is from another boot"), std::string::npos);
    const std::string errors = keeper_errors();
    EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 3) << errors;
}

TEST_P(Life, ATornSlotIsHarmless) {
    begin();
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}));
    ASSERT_NE(pid, 0);
    client.reset();
    kill_keeper();
    // Every slot's newer half is torn in turn; the older one says nothing wrong.
    const std::string file = path("run/keeper.state");
    std::string bytes = read_text(file);
    for (std::size_t at = 4096; at + 1024 <= bytes.size(); at += 1024) {
        std::uint64_t a = 0, b = 0;
        std::memcpy(&a, &bytes[at], 8);
        std::memcpy(&b, &bytes[at + 512], 8);
        if (a == 0 || b == 0) continue;
        bytes[(a < b ? at : at + 512) + 20] ^= 1; // the older
    }
    std::ofstream(file, std::ios::binary) << bytes;
    start_keeper();
    connect();
    ASSERT_NE(find(Seen::Adopted, "a"), nullptr) << keeper_errors();
    EXPECT_EQ(find(Seen::Adopted, "a")->pid, pid);
}

INSTANTIATE_TEST_SUITE_P(Keeper, Life, ::testing::Values(kFull, kBare), mode_name);

} // namespace keepwell::test
