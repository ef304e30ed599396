// What SdbusSystemd promises to its callers where there is no bus to reach.
#include "supervisor/systemd/sdbus_systemd.h"
#include "supervisor/uv/pool_offload.h"
#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace keepwell {
namespace {

using namespace std::chrono_literals;

struct Told final : SystemdListener {
    void on_state(const SystemdUnitState&) override { ++states; }
    void on_gone(const std::string&) override {}
    void on_phase(BusPhase p, const std::string& t) override {
        phases.push_back(p);
        text = t;
        if (then) then();
    }
    int states = 0;
    std::vector<BusPhase> phases;
    std::string text;
    std::function<void()> then;
};

class NoBus : public ::testing::Test {
  protected:
    std::unique_ptr<SdbusSystemd> make(const std::string& bus = "unix:path=/nowhere/bus") {
        auto systemd = std::make_unique<SdbusSystemd>(loop, offload, timers, clock, bus);
        systemd->set_listener(&told);
        return systemd;
    }
    uv::Loop loop;
    uv::MonotonicClock clock;
    uv::LoopTimers timers{loop, clock};
    PoolOffload offload{loop};
    Told told;
};

TEST_F(NoBus, IsLostWithAText) {
    const auto systemd = make();
    EXPECT_EQ(systemd->phase(), BusPhase::Connecting);
    EXPECT_TRUE(told.phases.empty());
    ASSERT_TRUE(test::run_until(loop, [&] { return !told.phases.empty(); }));
    EXPECT_EQ(told.phases.front(), BusPhase::Lost);
    EXPECT_NE(told.text.find("cannot reach systemd on the bus unix:path=/nowhere/bus"),
              std::string::npos)
        << told.text;
    EXPECT_EQ(systemd->phase_text(), told.text);
}

TEST_F(NoBus, AnUnreadableAddressIsLostToo) {
    const auto systemd = make("no address at all");
    ASSERT_TRUE(test::run_until(loop, [&] { return !told.phases.empty(); }));
    EXPECT_EQ(told.phases.front(), BusPhase::Lost);
}

TEST_F(NoBus, OrdersEndWithAnErrorAndNeverInsideTheCall) {
    const auto systemd = make();
    std::vector<JobResult> results;
    const auto keep = [&](const JobResult& r) { results.push_back(r); };
    systemd->order(UnitVerb::Start, "web.service", JobMode::Replace, 1s, keep);
    systemd->order(UnitVerb::Start, "../web", JobMode::Replace, 1s, keep);
    systemd->kill("web.service", "main", 9, keep);
    const JobId forgotten = systemd->kill("web.service", "main", 9, keep);
    systemd->forget(forgotten);
    bool read = false;
    systemd->refresh("web.service", [&](const SystemdUnitState* s) { read = s == nullptr; });
    EXPECT_TRUE(results.empty());
    EXPECT_FALSE(read);
    ASSERT_TRUE(test::run_until(loop, [&] { return results.size() == 3 && read; }));
    for (const auto& r : results) EXPECT_EQ(r.outcome, JobOutcome::Error);
    EXPECT_EQ(results[0].error_name, "org.freedesktop.DBus.Error.Disconnected");
    EXPECT_EQ(results[1].error_name, "org.freedesktop.DBus.Error.InvalidArgs");
}

TEST_F(NoBus, ItMayBeDestroyedByItsListener) {
    auto systemd = make();
    bool later = false;
    told.then = [&] { systemd = nullptr; };
    systemd->order(UnitVerb::Stop, "web.service", JobMode::Replace, 1s, [](const JobResult&) {});
    ASSERT_TRUE(test::run_until(loop, [&] { return systemd == nullptr; }));
    const auto count = told.phases.size();
    timers.arm(clock.now() + 600ms, [&] { later = true; });
    ASSERT_TRUE(test::run_until(loop, [&] { return later; }));
    EXPECT_EQ(told.phases.size(), count);
}

TEST_F(NoBus, ItMayBeDestroyedByTheCallbackOfAnOrder) {
    auto systemd = make();
    int calls = 0;
    for (int i = 0; i < 3; ++i)
        systemd->order(UnitVerb::Stop, "web.service", JobMode::Replace, 1s, [&](const JobResult&) {
            ++calls;
            systemd = nullptr;
        });
    ASSERT_TRUE(test::run_until(loop, [&] { return systemd == nullptr; }));
    EXPECT_EQ(calls, 1);
}

TEST_F(NoBus, NamesAreRefusedAtOnceAndWatchesAreCounted) {
    const auto systemd = make();
    EXPECT_FALSE(systemd->watch("web"));
    EXPECT_FALSE(systemd->watch_pattern("web.service"));
    EXPECT_TRUE(systemd->watch("web.service"));
    EXPECT_TRUE(systemd->watch("web.service"));
    EXPECT_TRUE(systemd->watch_pattern("w*.service"));
    systemd->unwatch("web.service");
    systemd->unwatch("web.service");
    systemd->unwatch("web.service");
    systemd->unwatch("never.service");
    systemd->unwatch_pattern("w*.service");
    systemd->unwatch_pattern("w*.service");
    EXPECT_EQ(systemd->state("web.service"), nullptr);
}

// A listener that accepts nothing is a bus daemon that hangs.
TEST_F(NoBus, ADaemonThatHangsIsGivenUpSoonWhenNobodyWantsItAnyMore) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = ::testing::TempDir() + "keepwell-hang-" + std::to_string(getpid());
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    unlink(path.c_str());
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(fd, 5), 0);
    const auto start = std::chrono::steady_clock::now();
    {
        uv::Loop own;
        uv::LoopTimers its_timers(own, clock);
        PoolOffload its_pool(own);
        SdbusSystemd systemd(own, its_pool, its_timers, clock, "unix:path=" + path);
        systemd.set_listener(&told);
        int turns = 0;
        ASSERT_TRUE(test::run_until(
            own, [&] { return ++turns > 40; }, 2s));
    } // the loop waits for its pool here
    EXPECT_LT(std::chrono::steady_clock::now() - start, 1500ms);
    EXPECT_TRUE(told.phases.empty());
    close(fd);
    unlink(path.c_str());
}

} // namespace
} // namespace keepwell
