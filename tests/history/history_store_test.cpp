#include "supervisor/history/history_store.h"
#include "tests/history/history_support.h"

#include <fstream>
#include <gmock/gmock.h>
#include <optional>
#include <sys/mount.h>
#include <unistd.h>

namespace keepwell::history::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct HistoryStoreTest : Folder {
    void begin() {
        store = std::make_unique<HistoryStore>(
            loop, path, Limits{}, [this](const std::string& text) { said.push_back(text); });
    }
    // Turns the loop until the condition holds; false after twenty seconds.
    template <class F>
    bool until(F condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        uv::Timer tick(loop, [] {});
        tick.start(1, 1);
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            loop.run_once();
        }
        return true;
    }
    std::int64_t ok_ms(const std::string& key, WallTime now) {
        std::optional<Status> answer;
        RollUp last;
        store->ask(
            [&](HistoryFile& file) -> Status {
                const auto story = file.story(key, Range::Hour, now);
                if (!story) return story.error();
                for (const auto& p : story->points) last.merge(p.roll_up);
                return Done{};
            },
            [&](const Status& s) { answer = s; });
        EXPECT_TRUE(until([&] { return answer.has_value(); }));
        return answer && *answer ? last.in(Spent::Ok) : -1;
    }
    uv::Loop loop;
    std::vector<std::string> said;
    std::unique_ptr<HistoryStore> store;
};

TEST_F(HistoryStoreTest, AQuestionSeesEveryBatchThatCameBefore) {
    begin();
    for (int i = 0; i < 20; ++i)
        store->write(minutes("web", kNoonS + i * 60, 1, spent(Spent::Ok, 60'000)));
    EXPECT_EQ(ok_ms("web", after_noon(1200)), 20 * 60'000);
    EXPECT_THAT(said, IsEmpty());
}

TEST_F(HistoryStoreTest, TheEndWritesWhatIsWaiting) {
    begin();
    store->write(minutes("web", kNoonS, 1, spent(Spent::Ok, 60'000)));
    store.reset();
    EXPECT_EQ(sql(path, "SELECT sum(ok) FROM minute"), 60'000);
}

TEST_F(HistoryStoreTest, WithoutAFileQuestionsAreRefusedAndItIsToldOnce) {
    std::filesystem::create_directory(path);
    begin();
    store->write(minutes("web", kNoonS, 1, spent(Spent::Ok, 60'000)));
    store->write(minutes("web", kNoonS + 60, 1, spent(Spent::Ok, 60'000)));
    EXPECT_EQ(ok_ms("web", kNoon), -1);
    EXPECT_TRUE(until([&] { return !said.empty(); }));
    EXPECT_EQ(ok_ms("web", kNoon), -1);
    EXPECT_THAT(said, ElementsAre(HasSubstr("cannot open " + path)));
    // Once it can be opened what has waited is written, at the latest at the end.
    std::filesystem::remove(path);
    store.reset();
    EXPECT_EQ(sql(path, "SELECT sum(ok) FROM minute"), 120'000);
}

TEST_F(HistoryStoreTest, TooManyQuestionsAreRefusedAtOnce) {
    begin();
    std::size_t refused = 0, answered = 0;
    const std::size_t all = kMostQuestions + 20;
    std::mutex gate;
    gate.lock();
    for (std::size_t i = 0; i < all; ++i)
        store->ask(
            [&](HistoryFile&) -> Status {
                const std::lock_guard wait(gate);
                return Done{};
            },
            [&](const Status& s) { ++(s ? answered : refused); });
    EXPECT_GE(refused, 19U); // one may be at work already
    gate.unlock();
    EXPECT_TRUE(until([&] { return answered + refused == all; }));
}

TEST_F(HistoryStoreTest, AFileFoundDamagedWhileInUseIsMovedAsideAndItGoesOn) {
    begin();
    store->write(minutes("web", kNoonS, 30, spent(Spent::Ok, 60'000)));
    EXPECT_EQ(ok_ms("web", after_noon(1800)), 30 * 60'000);
    std::optional<Status> answer;
    store->ask(
        [](HistoryFile&) -> Status {
            return Error{"cannot read it: malformed", kDamaged};
        },
        [&](const Status& s) { answer = s; });
    EXPECT_TRUE(until([&] { return answer.has_value() && !said.empty(); }));
    EXPECT_FALSE(*answer);
    EXPECT_THAT(said, ElementsAre(HasSubstr("a new history begins")));
    store->write(minutes("web", kNoonS, 1, spent(Spent::Ok, 60'000)));
    EXPECT_EQ(ok_ms("web", after_noon(1800)), 60'000);
    EXPECT_TRUE(std::filesystem::exists(path + ".corrupt-1"));
}

TEST_F(HistoryStoreTest, OfWhatCannotBeWrittenTheOldestGoes) {
    std::filesystem::create_directory(path);
    begin();
    for (int i = 0; i < 30; ++i)
        store->write(minutes("web", kNoonS + i * 60'000, 1000, spent(Spent::Ok, 60'000)));
    EXPECT_TRUE(until([&] { return !said.empty(); }));
    std::filesystem::remove(path);
    store.reset();
    const std::int64_t kept = sql(path, "SELECT count(*) FROM minute");
    EXPECT_LE(kept, static_cast<std::int64_t>(kMostRows));
    EXPECT_GE(kept, static_cast<std::int64_t>(kMostRows) / 2);
    EXPECT_EQ(sql(path, "SELECT max(bucket) FROM minute"), kNoonS / 60 + 29 * 1000 + 999);
}

TEST_F(HistoryStoreTest, OnADiskThatIsFullAtTheStartWhatIsThereIsRead) {
    if (geteuid() != 0 || mount("none", folder.c_str(), "tmpfs", 0, "size=4m") != 0)
        GTEST_SKIP() << "a small file system can be mounted by root only";
    begin();
    store->write(minutes("web", kNoonS, 1, spent(Spent::Ok, 60'000)));
    store.reset();
    std::ofstream(folder + "/filler") << std::string(3 << 20, 'x'); // leaves less than 1 MiB
    begin();
    store->write(minutes("web", kNoonS + 60, 1, spent(Spent::Ok, 60'000)));
    EXPECT_EQ(ok_ms("web", after_noon(120)), 60'000);
    EXPECT_TRUE(until([&] { return !said.empty(); }));
    EXPECT_THAT(said, ElementsAre(HasSubstr("less than 1 MiB is free")));
    store.reset();
    umount2(folder.c_str(), MNT_DETACH);
}

TEST_F(HistoryStoreTest, AFullDiskIsToldOnceAndWhatWaitedIsWrittenWhenThereIsRoom) {
    if (geteuid() != 0 || mount("none", folder.c_str(), "tmpfs", 0, "size=4m") != 0)
        GTEST_SKIP() << "a small file system can be mounted by root only";
    begin();
    EXPECT_EQ(ok_ms("web", kNoon), 0);
    std::ofstream(folder + "/filler") << std::string(8 << 20, 'x');
    for (int i = 0; i < 8; ++i)
        store->write(minutes("unit" + std::to_string(i), kNoonS, 1000, spent(Spent::Ok, 60'000)));
    EXPECT_TRUE(until([&] { return !said.empty(); }));
    EXPECT_EQ(ok_ms("nobody", kNoon), 0); // questions are still answered
    EXPECT_THAT(said, ElementsAre(HasSubstr("less than 1 MiB is free")));
    std::filesystem::remove(folder + "/filler");
    store.reset();
    EXPECT_EQ(sql(path, "SELECT count(*) FROM minute"), 8000);
    umount2(folder.c_str(), MNT_DETACH);
}

} // namespace
} // namespace keepwell::history::test
