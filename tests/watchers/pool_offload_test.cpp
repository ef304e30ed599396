// Lanes of the pool: one that hangs holds up neither the others nor itself beyond its places.
#include "supervisor/uv/pool_offload.h"

#include "tests/support/loop_runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

struct Lanes : testing::Test {
    Lanes() { setenv("UV_THREADPOOL_SIZE", std::to_string(PoolOffload::kThreads).c_str(), 1); }
    ~Lanes() override {
        go = true; // what hangs ends before the loop does
        run_until(loop, [&] { return hung == 0; });
    }
    std::function<void()> hang() {
        return [this] {
            ++hung;
            while (!go) std::this_thread::sleep_for(1ms);
            --hung;
        };
    }
    std::atomic<bool> go = false;
    std::atomic<int> hung = 0;
    uv::Loop loop;
    PoolOffload offload{loop};
};

} // namespace

TEST_F(Lanes, WorkIsDoneAwayFromTheLoopAndReportedOnIt) {
    const auto here = std::this_thread::get_id();
    std::thread::id there, back;
    offload.run(
        Offload::Lane::Disk, [&] { there = std::this_thread::get_id(); },
        [&] { back = std::this_thread::get_id(); });
    ASSERT_TRUE(run_until(loop, [&] { return back == here; }));
    EXPECT_NE(there, here);
}

TEST_F(Lanes, AHungDiskHoldsUpNoOtherWork) {
    for (int i = 0; i < 10; ++i) offload.run(Offload::Lane::Disk, hang(), [] {});
    bool proc = false, file = false;
    offload.run(
        Offload::Lane::Proc, [] {}, [&] { proc = true; });
    const auto state = uv::run_in_pool(
        loop, [] {}, [&] { file = true; });
    EXPECT_TRUE(run_until(loop, [&] { return proc && file; }));
    EXPECT_LE(hung, 3);
}

TEST_F(Lanes, ManyReadersOfLogsHoldUpNobodyElse) {
    for (int i = 0; i < 40; ++i) offload.run(Offload::Lane::Logs, hang(), [] {});
    bool disk = false, file = false;
    offload.run(
        Offload::Lane::Disk, [] {}, [&] { disk = true; });
    const auto state = uv::run_in_pool(
        loop, [] {}, [&] { file = true; });
    EXPECT_TRUE(run_until(loop, [&] { return disk && file; }));
    EXPECT_LE(hung, 2);
}

TEST_F(Lanes, CancelTellsWhetherItHadBegun) {
    std::vector<OffloadId> ids;
    bool told = false;
    for (int i = 0; i < 4; ++i)
        ids.push_back(offload.run(Offload::Lane::Disk, hang(), [&] { told = true; }));
    ASSERT_TRUE(run_until(loop, [&] { return hung == 3; }));
    EXPECT_FALSE(offload.cancel(ids[3])) << "it waited in line";
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(offload.cancel(ids[i]));
    go = true;
    ASSERT_TRUE(run_until(loop, [&] { return hung == 0; }));
    bool next = false;
    offload.run(
        Offload::Lane::Disk, [] {}, [&] { next = true; });
    EXPECT_TRUE(run_until(loop, [&] { return next; })) << "their places are free again";
    EXPECT_FALSE(told);
}
