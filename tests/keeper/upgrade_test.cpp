#include "tests/keeper/fixture.h"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell::test {

namespace fs = std::filesystem;

class UpgradeInPlace : public KeeperTest {
  protected:
    void SetUp() override {
        KeeperTest::SetUp();
        start_keeper();
        connect();
    }
    void let_go() { // as the supervisor does when it is asked to leave
        client->finished(0, true);
        ASSERT_TRUE(wait([&] { return client->flushed(); }));
        client.reset();
        ::kill(supervisor, SIGKILL);
    }
    void upgrade() {
        client->upgrade();
        ASSERT_TRUE(wait([&] { return leave_asked; })) << upgrade_refused << keeper_errors();
        const pid_t old = supervisor;
        let_go();
        connect();
        EXPECT_NE(supervisor, old);
    }
};

TEST_P(UpgradeInPlace, KeepsProcessChildrenLockAndPipes) {
    const auto pid = spawn(shell("a", "n=0; while :; do n=$((n+1)); echo $n; sleep 0.02; done"), 5);
    const auto other = spawn(unit("b", {"/bin/sleep", "60"}), 2);
    ASSERT_NE(pid, 0);
    ASSERT_NE(other, 0);
    ASSERT_EQ(::write(stages[1].get(), "left", 4), 4);
    const bool leaf = client->owns_tree("a");
    for (int round = 0; round < 3; ++round) {
        upgrade();
        ASSERT_NE(find(Seen::Adopted, "a", 5), nullptr) << keeper_errors();
        EXPECT_EQ(find(Seen::Adopted, "a", 5)->pid, pid);
        EXPECT_EQ(find(Seen::Adopted, "b", 2)->pid, other);
        EXPECT_EQ(client->keeper_pid(), keeper);
        EXPECT_EQ(client->owns_tree("a"), leaf);
        EXPECT_NE(output("a", "\n"), "");
    }
    char text[8] = {};
    EXPECT_EQ(::read(stages[0].get(), text, sizeof text), 4);
    EXPECT_STREQ(text, "left");
    ::kill(static_cast<pid_t>(other), SIGSEGV);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "b"));
    EXPECT_TRUE(find(Seen::Exited, "b")->status.known) << "they are its children still";
    EXPECT_EQ(find(Seen::Exited, "b")->status.signal, SIGSEGV);
    EXPECT_NE(spawn(unit("b", {"/bin/true"}), 3), 0);
    const pid_t first = keeper;
    start_keeper();
    EXPECT_EQ(WEXITSTATUS(wait_keeper()), 1) << "the lock was lost";
    keeper = first;
}

TEST_P(UpgradeInPlace, LosesNoExitAndNoLastWords) {
    ack_all = false;
    const auto a = spawn(shell("a", "trap 'echo last words; exit 7' TERM; echo up; while :; do "
                                    "sleep 0.05; done"));
    const auto b = spawn(shell("b", "trap 'echo other words; exit 8' TERM; echo up; while :; do "
                                    "sleep 0.05; done"));
    ASSERT_EQ(output("a", "up"), "up\n");
    ASSERT_EQ(output("b", "up"), "up\n");
    ::kill(static_cast<pid_t>(a), SIGTERM);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a")); // not acknowledged
    client->upgrade();
    ASSERT_TRUE(wait([&] { return leave_asked; })) << upgrade_refused;
    ::kill(static_cast<pid_t>(b), SIGTERM); // nobody is told now
    ASSERT_TRUE(wait([&] { return !alive(b); }));
    let_go();
    connect();
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a") && wait_for(Seen::TreeEmpty, "b"));
    EXPECT_EQ(find(Seen::Exited, "a")->status.code, 7);
    EXPECT_EQ(find(Seen::Exited, "b")->status.code, 8);
    EXPECT_EQ(output("a", "words"), "last words\n");
    EXPECT_EQ(output("b", "words"), "other words\n");
}

TEST_P(UpgradeInPlace, KeepsLastWordsThatNobodyRead) {
    ASSERT_NE(spawn(shell("a", "echo last words"), 7), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a", 7)); // and acknowledged
    const auto pid = spawn(shell("a", "echo others; sleep 60"), 8);
    ASSERT_NE(pid, 0);
    client->upgrade();
    ASSERT_TRUE(wait([&] { return leave_asked; })) << upgrade_refused;
    let_go();
    connect();
    ASSERT_NE(find(Seen::Adopted, "a", 8), nullptr);
    EXPECT_EQ(find(Seen::Adopted, "a", 8)->pid, pid);
    EXPECT_EQ(output("a@7", "words"), "last words\n");
    EXPECT_EQ(output("a@8", "\n"), "others\n");
    client->signal("a", 8, SIGKILL, SignalScope::Tree);
    EXPECT_TRUE(wait_for(Seen::TreeEmpty, "a", 8));
}

TEST_P(UpgradeInPlace, IsRefusedWhereTheStateCannotBeRead) {
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}));
    std::fstream file(path("run/keeper.state"), std::ios::in | std::ios::out | std::ios::binary);
    const std::uint32_t version = 99;
    file.seekp(8);
    file.write(reinterpret_cast<const char*>(&version), sizeof version);
    file.close();
    client->upgrade();
    ASSERT_TRUE(wait([&] { return !upgrade_refused.empty(); }));
    EXPECT_EQ(upgrade_refused,
              "cannot take over: " + path("run") + "/keeper.state has another version");
    EXPECT_FALSE(lost || leave_asked);
    EXPECT_TRUE(alive(pid));
    client->signal("a", 1, SIGTERM, SignalScope::Tree);
    EXPECT_TRUE(wait_for(Seen::TreeEmpty, "a")) << "everything goes on";
}

TEST_P(UpgradeInPlace, ADeadSupervisorDoesNotHoldItUp) {
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}));
    client->upgrade();
    ASSERT_TRUE(wait([&] { return client->flushed(); }));
    kill_supervisor();
    connect(); // the next one, of this keeper or already of the next
    if (!leave_asked) (void)wait([&] { return leave_asked || lost; }, 1);
    ASSERT_TRUE(find(Seen::Adopted, "a") != nullptr);
    EXPECT_EQ(find(Seen::Adopted, "a")->pid, pid);
}

TEST_P(UpgradeInPlace, TheDaemonsAreLeftWhenTheSupervisorSaysSo) {
    const auto pid = spawn(unit("a", {"/bin/sleep", "60"}), 4);
    let_go();
    EXPECT_EQ(wait_keeper(), 0);
    EXPECT_TRUE(alive(pid));
    start_keeper();
    connect();
    ASSERT_NE(find(Seen::Adopted, "a", 4), nullptr) << keeper_errors();
    EXPECT_EQ(find(Seen::Adopted, "a", 4)->pid, pid);
}

INSTANTIATE_TEST_SUITE_P(Keeper, UpgradeInPlace, ::testing::Values(kFull, kBare, kJoining),
                         mode_name);

// states/ has a file of every version that there ever was, and one with fields of a later one:
// a unit "a" (generation 5) that lived, and "b" (generation 7) that ended with 3.
class EarlierStates : public KeeperTest {};

TEST_P(EarlierStates, AreReadAndWhatIsNotUnderstoodIsKept) {
    std::string boot = read_text("/proc/sys/kernel/random/boot_id").substr(0, 36);
    boot.resize(48);
    std::size_t seen_files = 0;
    for (const auto& entry : fs::directory_iterator(STATES)) {
        SCOPED_TRACE(entry.path());
        ++seen_files;
        fs::create_directories(path("run"));
        std::string bytes = read_text(entry.path());
        bytes.replace(16, boot.size(), boot);
        std::ofstream(path("run/keeper.state"), std::ios::binary) << bytes;
        const std::string check = std::string(KEEPER_BINARY) + " --check-state --runtime-dir " +
                                  path("run") + " -- " + BRIDGE_BINARY;
        EXPECT_EQ(::system(check.c_str()), 0);
        start_keeper();
        connect();
        ASSERT_NE(find(Seen::Exited, "b", 7), nullptr) << keeper_errors();
        EXPECT_EQ(find(Seen::Exited, "b", 7)->status.code, 3);
        ASSERT_NE(find(Seen::Exited, "a", 5), nullptr) << keeper_errors();
        EXPECT_FALSE(find(Seen::Exited, "a", 5)->status.known);
        const std::string now = read_text(path("run/keeper.state"));
        const std::string news = "of-a-later-version";
        const std::size_t first = now.find(news);
        EXPECT_TRUE(bytes.find(news) == std::string::npos ||
                    now.find(news, first + 1) != std::string::npos)
            << "not kept";
        client.reset();
        kill_keeper();
        fs::remove_all(path("run"));
    }
    EXPECT_GE(seen_files, 2U);
}

INSTANTIATE_TEST_SUITE_P(Keeper, EarlierStates, ::testing::Values(kFull, kBare), mode_name);

} // namespace keepwell::test
