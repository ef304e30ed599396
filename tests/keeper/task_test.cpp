#include "tests/keeper/fixture.h"

#include <cerrno>
#include <csignal>

namespace keepwell::test {

class Tasks : public KeeperTest {
  protected:
    void SetUp() override {
        KeeperTest::SetUp();
        start_keeper();
        connect();
    }
    TaskId run(Argv command, std::chrono::milliseconds timeout = std::chrono::seconds(10)) {
        TaskRequest request;
        request.label = "web/check:disk";
        request.process = unit("", std::move(command)).process;
        request.timeout = timeout;
        return client->run(request, [this](TaskResult r) { results.push_back(std::move(r)); });
    }
    bool finished(std::size_t n = 1) {
        return wait([&] { return results.size() >= n; });
    }
    bool nothing_left() {
        return wait([&] { return marked().size() == 2; });
    }
    std::vector<TaskResult> results;
};

TEST_P(Tasks, GiveTheirExitCodeAndTheLastBytesOfOutput) {
    run({"sh", "-c",
         "echo $KEEPWELL_UNIT; i=0; while [ $i -lt 2000 ]; do echo line $i; "
         "i=$((i+1)); done; echo the end >&2; exit 4"});
    ASSERT_TRUE(finished());
    EXPECT_EQ(results[0].failed_stage, SpawnStage::None);
    EXPECT_EQ(results[0].status.code, 4);
    EXPECT_TRUE(results[0].status.known);
    EXPECT_EQ(results[0].output.size(), 512U);
    EXPECT_TRUE(results[0].output.ends_with("line 1999\nthe end\n"));
    EXPECT_GT(results[0].took.count(), 0);
}

TEST_P(Tasks, AreKilledAtTheirDeadlineWithTheirChildren) {
    run({"sh", "-c", "trap '' TERM; (setsid sleep 60 &); echo waiting; sleep 61; sleep 62"},
        std::chrono::milliseconds(300));
    ASSERT_TRUE(finished());
    EXPECT_TRUE(results[0].timed_out);
    EXPECT_EQ(results[0].status.signal, SIGKILL);
    EXPECT_EQ(results[0].output, "waiting\n");
    EXPECT_TRUE(nothing_left());
}

TEST_P(Tasks, LeaveNoChildBehindWhenTheyEnd) {
    run({"sh", "-c", "sleep 60 & exit 0"});
    ASSERT_TRUE(finished());
    EXPECT_FALSE(results[0].timed_out);
    EXPECT_TRUE(nothing_left());
}

TEST_P(Tasks, ThatCannotRunSayWhy) {
    run({"/no/such/check"});
    run({});
    ASSERT_TRUE(finished(2));
    for (const TaskResult& r : results) {
        const bool exec = r.failed_stage == SpawnStage::Exec;
        EXPECT_TRUE(exec || r.failed_stage == SpawnStage::Prepare);
        EXPECT_EQ(r.error, exec ? ENOENT : EINVAL);
    }
}

TEST_P(Tasks, ACancelledOneIsKilledAndNeverAnswers) {
    const TaskId id = run({"sleep", "60"});
    ASSERT_TRUE(wait([&] { return marked().size() == 3; }));
    client->cancel(id);
    client->cancel(id);
    run({"true"});
    ASSERT_TRUE(finished());
    EXPECT_EQ(results[0].status.code, 0);
    EXPECT_TRUE(nothing_left());
    EXPECT_EQ(results.size(), 1U);
}

TEST_P(Tasks, DieWithTheSupervisorAndWithTheKeeper) {
    run({"sleep", "60"});
    ASSERT_TRUE(wait([&] { return marked().size() == 3; }));
    kill_supervisor();
    connect();
    EXPECT_TRUE(nothing_left());
    run({"sleep", "60"});
    ASSERT_TRUE(wait([&] { return marked().size() == 3; }));
    client.reset();
    kill_keeper();
    EXPECT_TRUE(wait([&] { return marked().empty(); }));
}

TEST_P(Tasks, ManyAtOnceEachAnswerOnce) {
    for (int i = 0; i < 60; ++i) run({"sh", "-c", "exit " + std::to_string(i)});
    ASSERT_TRUE(finished(60));
    int sum = 0;
    for (const TaskResult& r : results) sum += r.status.code;
    EXPECT_EQ(sum, 59 * 60 / 2);
    EXPECT_EQ(results.size(), 60U);
}

INSTANTIATE_TEST_SUITE_P(Keeper, Tasks, ::testing::Values(kFull, kBare), mode_name);

} // namespace keepwell::test
