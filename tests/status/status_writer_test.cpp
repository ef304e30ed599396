#include "status_support.h"
#include "supervisor/status/status_writer.h"
#include "tests/support/virtual_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

namespace {

// A pool that works when it is told to, so that a write can be under way.
struct ManualPool {
    struct Job {
        std::function<void()> work, done;
        std::weak_ptr<void> token;
    };
    std::vector<Job> jobs;

    StatusWriter::Pool pool() {
        return [this](std::function<void()> work, std::function<void()> done) {
            auto token = std::make_shared<int>(0);
            jobs.push_back({std::move(work), std::move(done), token});
            return std::shared_ptr<void>(token);
        };
    }
    void run() {
        auto now = std::move(jobs);
        jobs.clear();
        for (auto& job : now) {
            job.work();
            if (!job.token.expired()) job.done();
        }
    }
};

class StatusWriterTest : public testing::Test {
  protected:
    StatusWriter& writer() {
        if (!writer_) {
            writer_ = std::make_unique<StatusWriter>(
                clock, timers, pool.pool(), StatusWriter::Options{path, 30s, 1s},
                [this] {
                    ++renders;
                    return StatusWriter::Documents{std::to_string(renders), history};
                },
                [this](const std::string& line) { reports.push_back(line); });
        }
        return *writer_;
    }
    // Virtual time in small steps, with the pool working in between.
    void pass(Duration d) {
        for (Duration t{}; t < d; t += 100ms) {
            timers.advance(100ms);
            pool.run();
        }
    }
    std::string content() const { return read_file(path); }

    TempFolder folder;
    std::string path = folder / "run/status.json";
    VirtualClock clock;
    FakeTimers timers{clock};
    ManualPool pool;
    std::optional<std::string> history;
    int renders = 0;
    std::vector<std::string> reports;
    std::unique_ptr<StatusWriter> writer_;
};

TEST_F(StatusWriterTest, TheFirstWriteMakesTheFolderAndTheRightsAreThoseOfTheContract) {
    const mode_t before = umask(077);
    writer().start();
    pool.run();
    umask(before);
    EXPECT_EQ(content(), "1");
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0644U);
    ASSERT_EQ(stat((folder / "run").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0755U);
    EXPECT_EQ(writer().last_written(), clock.wall());
    EXPECT_THAT(reports, ElementsAre());
}

TEST_F(StatusWriterTest, AChangeIsWrittenAtOnceAndManyAtMostOnceASecond) {
    writer().start();
    pool.run();
    pass(5s);
    writer().changed();
    pool.run();
    EXPECT_EQ(content(), "2");
    for (int i = 0; i < 50; ++i) {
        writer().changed();
        pass(100ms);
    }
    EXPECT_GE(renders, 6);
    EXPECT_LE(renders, 8);
}

TEST_F(StatusWriterTest, WithoutChangesItIsWrittenEveryInterval) {
    writer().start();
    pool.run();
    pass(29s);
    EXPECT_EQ(renders, 1);
    pass(2s);
    EXPECT_EQ(renders, 2);
    pass(60s);
    EXPECT_EQ(renders, 4);
}

TEST_F(StatusWriterTest, NeverTwoWritesAtOnceAndNoChangeIsForgotten) {
    writer().start();
    writer().changed();
    timers.advance(60s);
    EXPECT_EQ(pool.jobs.size(), 1U);
    pool.run();
    timers.advance(0s);
    EXPECT_EQ(pool.jobs.size(), 1U);
    pool.run();
    EXPECT_EQ(content(), "2");
}

TEST_F(StatusWriterTest, LeftoversAreRemovedAndNothingElse) {
    std::filesystem::create_directory(folder / "run");
    std::ofstream(folder / "run/.status.json.17.0.tmp") << "half";
    std::ofstream(folder / "run/.status.json.tmp2") << "other";
    writer().start();
    pool.run();
    EXPECT_FALSE(std::filesystem::exists(folder / "run/.status.json.17.0.tmp"));
    EXPECT_TRUE(std::filesystem::exists(folder / "run/.status.json.tmp2"));
}

TEST_F(StatusWriterTest, AFolderThatIsRemovedWhileRunningIsMadeAgain) {
    writer().start();
    pool.run();
    std::filesystem::remove_all(folder / "run");
    pass(31s);
    EXPECT_EQ(content(), "2");
    EXPECT_THAT(reports, ElementsAre());
}

TEST_F(StatusWriterTest, AMissingParentIsReportedOnceRetriedSlowlyAndItsEndIsTold) {
    path = folder / "a/b/status.json";
    writer().start();
    pool.run();
    pass(300s);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0], "cannot write " + path + ": No such file or directory; make the folder " +
                              (folder / "a/b") + " or set supervisor.status_file");
    EXPECT_THAT(writer().note(), StartsWith("cannot write " + path));
    EXPECT_GE(writer().errors(), 10U);
    EXPECT_LE(writer().errors(), 20U);
    std::filesystem::create_directory(folder / "a");
    pass(31s);
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_THAT(reports[1], HasSubstr("is written again, after 5m"));
    EXPECT_THAT(writer().note(), HasSubstr(" from "));
    pass(3700s);
    EXPECT_EQ(writer().note(), "");
}

TEST_F(StatusWriterTest, ASymbolicLinkInTheFilesPlaceIsReplacedAndNotFollowed) {
    std::filesystem::create_directory(folder / "run");
    std::ofstream(folder / "precious") << "mine";
    std::filesystem::create_symlink(folder / "precious", path);
    writer().start();
    pool.run();
    EXPECT_EQ(read_file(folder / "precious"), "mine");
    EXPECT_FALSE(std::filesystem::is_symlink(path));
    EXPECT_EQ(content(), "1");
}

TEST_F(StatusWriterTest, AFolderInTheFilesPlaceIsReportedAndLeavesNoLitter) {
    std::filesystem::create_directories(path + "/sub");
    writer().start();
    pool.run();
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_THAT(reports[0], HasSubstr("a folder stands there"));
    const auto entries = std::filesystem::directory_iterator(folder / "run");
    EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

TEST_F(StatusWriterTest, TheHistoryIsWrittenBesideTheFile) {
    history = "{}";
    writer().start();
    pool.run();
    EXPECT_EQ(read_file(folder / "run/history.json"), "{}");
}

TEST_F(StatusWriterTest, FinishWritesTheLastDocumentAndAnOlderOneNeverComesAfterIt) {
    writer().start();
    pool.run();
    pass(2s);
    writer().changed(); // document 2, still in the pool's queue
    ASSERT_TRUE(writer().finish());
    EXPECT_EQ(content(), "3");
    pool.run();
    EXPECT_EQ(content(), "3");
    writer().changed();
    pass(60s);
    EXPECT_EQ(content(), "3");
}

TEST_F(StatusWriterTest, ItMayBeDestroyedWhileAWriteIsUnderWay) {
    writer().start();
    writer_.reset();
    pool.run();
    EXPECT_EQ(content(), "1");
    EXPECT_EQ(timers.armed(), 0U);
}

// A mount of its own that no other process sees; false where the system forbids it.
bool mount_small(const std::string& at) {
    if (unshare(CLONE_NEWNS) < 0) return false;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return false;
    return mount("none", at.c_str(), "tmpfs", 0, "size=16k") == 0;
}

TEST_F(StatusWriterTest, AFullDiskKeepsTheOldDocumentWholeAndIsRecoveredFrom) {
    std::filesystem::create_directory(folder / "run");
    if (!mount_small(folder / "run")) GTEST_SKIP() << "needs the right to mount";
    writer().start();
    pool.run();
    ASSERT_EQ(content(), "1");
    std::ofstream(folder / "run/ballast") << std::string(32 << 10, 'x') << std::flush;
    pass(120s);
    EXPECT_EQ(content(), "1");
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0], "cannot write " + path +
                              ": No space left on device; free some space there; it is written "
                              "again as soon as it can be");
    EXPECT_THAT(writer().note(), HasSubstr("No space left on device since 20"));
    const auto entries = std::filesystem::directory_iterator(folder / "run");
    EXPECT_EQ(std::distance(begin(entries), end(entries)), 2) << "a temporary file was left";
    std::filesystem::remove(folder / "run/ballast");
    pass(35s);
    EXPECT_EQ(content(), std::to_string(renders));
    ASSERT_EQ(reports.size(), 2U);
    EXPECT_THAT(reports[1], HasSubstr("is written again"));
    umount2((folder / "run").c_str(), MNT_DETACH);
}

TEST_F(StatusWriterTest, AReadOnlyDiskIsReportedAndRecoveredFrom) {
    std::filesystem::create_directory(folder / "run");
    if (!mount_small(folder / "run")) GTEST_SKIP() << "needs the right to mount";
    writer().start();
    pool.run();
    const std::string at = folder / "run";
    ASSERT_EQ(mount(nullptr, at.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    pass(60s);
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_THAT(reports[0], HasSubstr("Read-only file system; remount it writable"));
    ASSERT_EQ(mount(nullptr, at.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
    pass(35s);
    EXPECT_EQ(content(), std::to_string(renders));
    umount2(at.c_str(), MNT_DETACH);
}

} // namespace
