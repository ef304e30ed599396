#include "tests/keeper/fixture.h"

#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell::test {

class Tree : public KeeperTest {
  protected:
    void SetUp() override {
        KeeperTest::SetUp();
        start_keeper();
        connect();
    }
    std::size_t children() const { return marked().size() - 2; } // without keeper and bridge
};

TEST_P(Tree, ADoubleForkingTreeThatIgnoresTermEndsByATreeKill) {
    const auto pid = spawn(shell("a", "trap '' TERM; (setsid sh -c 'trap \"\" TERM; sleep 61 & "
                                      "sleep 62' &) ; sleep 60 & exec sleep 63"));
    ASSERT_NE(pid, 0);
    ASSERT_TRUE(wait([&] { return children() >= 4; }));
    client->signal("a", 1, SIGKILL, SignalScope::Process);
    ASSERT_TRUE(wait_for(Seen::Exited, "a"));
    EXPECT_EQ(find(Seen::TreeEmpty, "a"), nullptr) << "the left-overs live";
    const auto left = client->survivors("a");
    EXPECT_GE(left.size(), 3U);
    client->signal("a", 1, SIGTERM, SignalScope::Tree);
    client->signal("a", 1, SIGKILL, SignalScope::Tree);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    EXPECT_EQ(children(), 0U);
    EXPECT_NE(spawn(unit("a", {"/bin/true"}), 2), 0);
}

// A fleet of somebody else: a keeper by name with a daemon that bears the mark of a unit "a".
struct OtherFleet {
    explicit OtherFleet(const std::string& folder) {
        const std::string name = folder + "/keepwell-keeper", note = folder + "/other.pid";
        ::symlink("/bin/sh", name.c_str());
        const std::string script = "KEEPWELL_UNIT=a sleep 60 & echo $! >" + note + "; wait";
        keeper = ::fork();
        if (keeper == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::execl(name.c_str(), name.c_str(), "-c", script.c_str(), nullptr);
            ::_exit(127);
        }
        while (read_text(note).empty()) ::usleep(1000);
        daemon = std::stoi(read_text(note));
    }
    ~OtherFleet() {
        ::kill(daemon, SIGKILL);
        ::waitpid(keeper, nullptr, 0);
    }
    pid_t keeper = 0, daemon = 0;
};

TEST_P(Tree, AnotherFleetsUnitOfTheSameNameIsLeftAlone) {
    ASSERT_NE(spawn(unit("a", {"/bin/sleep", "60"})), 0);
    const OtherFleet other(path(""));
    client->signal("a", 1, SIGKILL, SignalScope::Tree);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    EXPECT_TRUE(alive(other.daemon));
}

TEST_P(Tree, AnOrphanOfADeadFleetIsLeftAlone) {
    ASSERT_NE(spawn(unit("a", {"/bin/sleep", "60"})), 0);
    const std::string note = path("orphan.pid"),
                      script = "KEEPWELL_UNIT=a KEEPWELL_FLEET=/elsewhere setsid sleep 60 & echo "
                               "$! >" +
                               note;
    ASSERT_EQ(::system(script.c_str()), 0); // and its parent is gone
    const int orphan = std::stoi(read_text(note));
    ASSERT_TRUE(wait([&] {
        return read_text("/proc/" + std::to_string(orphan) + "/environ")
                   .find("KEEPWELL_FLEET=/elsewhere") != std::string::npos;
    }));
    EXPECT_EQ(client->survivors("a").size(), 1U) << "the orphan counts as ours";
    client->signal("a", 1, SIGKILL, SignalScope::Tree);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    EXPECT_TRUE(alive(orphan));
    ::kill(orphan, SIGKILL);
}

TEST_P(Tree, TermThenContReachTheWholeTree) {
    const auto pid = spawn(shell("a", "sleep 60 & sleep 61 & kill -STOP $!; wait"));
    ASSERT_NE(pid, 0);
    ASSERT_TRUE(wait([&] { return children() == 3; }));
    client->signal("a", 1, SIGTERM, SignalScope::Tree);
    client->signal("a", 1, SIGCONT, SignalScope::Tree); // as every stop does
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    EXPECT_EQ(find(Seen::Exited, "a")->status.signal, SIGTERM);
}

TEST_P(Tree, TheEndOfTheLastLeftOverIsSeenWithoutAnyKill) {
    ASSERT_NE(spawn(shell("a", "(setsid sleep 0.4 &); exit 0")), 0);
    ASSERT_TRUE(wait_for(Seen::TreeEmpty, "a"));
    const auto at = [&](Seen::Kind kind) { return find(kind, "a") - seen.data(); };
    EXPECT_LT(at(Seen::Exited), at(Seen::TreeEmpty));
}

TEST_P(Tree, GroupSignalsSpareOtherSessions) {
    ASSERT_NE(spawn(shell("a", "setsid sh -c 'echo up; exec sleep 60' & sleep 61 & wait")), 0);
    ASSERT_EQ(output("a", "up"), "up\n");
    ASSERT_TRUE(wait([&] { return children() == 3; }));
    client->signal("a", 1, SIGKILL, SignalScope::Group);
    ASSERT_TRUE(wait_for(Seen::Exited, "a"));
    EXPECT_TRUE(wait([&] { return children() == 1; }));
    EXPECT_EQ(find(Seen::TreeEmpty, "a"), nullptr);
    client->signal("a", 1, SIGKILL, SignalScope::Tree);
    EXPECT_TRUE(wait_for(Seen::TreeEmpty, "a"));
}

TEST_P(Tree, ManyExitsAtOnceAllArriveWithTheirCodes) {
    constexpr int kCount = 40;
    for (int i = 0; i < kCount; ++i)
        client->spawn(shell("u" + std::to_string(i), "trap 'exit " + std::to_string(i) +
                                                         "' TERM; echo up; while :; do sleep 1 & "
                                                         "wait; done"),
                      1);
    ASSERT_TRUE(wait([&] { return count(Seen::Spawned) == kCount; }, 30));
    for (int i = 0; i < kCount; ++i) ASSERT_EQ(output("u" + std::to_string(i), "up"), "up\n");
    for (int i = 0; i < kCount; ++i)
        client->signal("u" + std::to_string(i), 1, SIGTERM, SignalScope::Tree);
    ASSERT_TRUE(wait([&] { return count(Seen::TreeEmpty) == kCount; }, 30));
    for (int i = 0; i < kCount; ++i)
        EXPECT_EQ(find(Seen::Exited, "u" + std::to_string(i))->status.code, i);
}

TEST_P(Tree, TwoHundredExitsInABurstAllArrive) {
    constexpr std::size_t kCount = 200;
    for (std::size_t i = 0; i < kCount; ++i)
        client->spawn(unit("u" + std::to_string(i), {"/bin/true"}), 1);
    ASSERT_TRUE(wait([&] { return count(Seen::TreeEmpty) == kCount; }, 40))
        << count(Seen::Spawned) << ' ' << count(Seen::Failed) << ' ' << count(Seen::Exited) << ' '
        << count(Seen::TreeEmpty) << keeper_errors();
    EXPECT_EQ(count(Seen::Exited), kCount);
    EXPECT_EQ(count(Seen::Spawned), kCount);
}

TEST_P(Tree, OrphansAreReapedAndMistakenForNobody) {
    ASSERT_NE(spawn(shell("a", "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; sleep 60")), 0);
    ASSERT_TRUE(wait([&] { return children() == 2; }));
    EXPECT_TRUE(wait([&] {
        return read_text("/proc/" + std::to_string(keeper) + "/task/" + std::to_string(keeper) +
                         "/children")
                   .find(' ') != std::string::npos;
    }));
    EXPECT_EQ(find(Seen::Exited, "a"), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Keeper, Tree, ::testing::Values(kFull, kBare, kJoining), mode_name);

} // namespace keepwell::test
