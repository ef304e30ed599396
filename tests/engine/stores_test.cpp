#include "supervisor/engine/event_store.h"
#include "supervisor/engine/wanted.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace keepwell;
namespace fs = std::filesystem;

namespace {

struct Stores : testing::Test {
    Stores() {
        char name[] = "/tmp/keepwell-stores-XXXXXX";
        dir = mkdtemp(name);
    }
    ~Stores() override { fs::remove_all(dir); }
    void settle() { uv_run(loop.raw(), UV_RUN_DEFAULT); }
    uv::Loop loop;
    std::string dir;
    std::vector<std::string> errors;
    std::function<void(std::string)> on_error = [this](std::string e) {
        errors.push_back(std::move(e));
    };
};

} // namespace

TEST_F(Stores, WantedStatesComeBack) {
    {
        WantedStore store(loop, dir + "/wanted", on_error);
        EXPECT_EQ(store.get("web"), std::nullopt);
        store.set("web", Desired::Stopped);
        store.set("db", Desired::Running);
        store.set("web", Desired::Running);
        store.set("web", Desired::Stopped);
        settle();
    }
    WantedStore again(loop, dir + "/wanted", on_error);
    EXPECT_EQ(again.get("web"), Desired::Stopped);
    EXPECT_EQ(again.get("db"), Desired::Running);
    EXPECT_TRUE(errors.empty());
}

TEST_F(Stores, AWantedFileThatCannotBeWrittenIsReported) {
    WantedStore store(loop, dir + "/missing/wanted", on_error);
    store.set("web", Desired::Stopped);
    settle();
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_EQ(errors[0].rfind("cannot keep the wanted states: ", 0), 0U) << errors[0];
    EXPECT_EQ(store.get("web"), Desired::Stopped) << "in memory it counts all the same";
}

TEST_F(Stores, EventLinesComeBackOldestFirstAndDamageIsLeftOut) {
    const std::string path = dir + "/events.jsonl";
    {
        EventStore store(loop, path, on_error);
        for (int i = 1; i <= 3; ++i)
            store.append(
                R"({"sequence":)" + std::to_string(i) +
                R"(,"ms":5,"service":"web","kind":"k","subject":"","text":"t","detail":"","story":1,"outcome":"","trouble":false})");
        settle();
    }
    std::ofstream(path, std::ios::app) << "{\"sequence\":9,\"torn";
    const auto lines = EventStore::load(path, 10);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0].sequence, 1U);
    EXPECT_EQ(lines[2].sequence, 3U);
    EXPECT_EQ(EventStore::load(path, 2).size(), 1U) << "the torn line counts as one that was read";
}
