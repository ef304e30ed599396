#include "tests/logs/log_support.h"

#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

namespace keepwell {
namespace {

using namespace test;

bool is_error(const LogReport& report) { return !report.error.empty(); }
bool is_recovery(const LogReport& report) { return report.error.empty() && !report.eof; }

// A tmpfs of 16 KiB, seen by this process only: every case runs in a process of its own, and the
// directory below is a mount of its private namespace.
class SmallDisk {
  public:
    explicit SmallDisk(const std::string& at) : at_(at) {
        static const bool kPrivate =
            ::unshare(CLONE_NEWNS) == 0 &&
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        mounted_ = kPrivate && ::mount("tmpfs", at.c_str(), "tmpfs", 0, "size=16k,mode=0755") == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    bool mounted() const { return mounted_; }

  private:
    std::string at_;
    bool mounted_ = false;
};

class LogTroubleTest : public testing::Test {
  protected:
    LogTroubleTest() { std::filesystem::create_directory(logs); }
    std::string file(const std::string& key = "web") const { return log_path(logs, key); }
    bool wait_for_error() const { return bench.wait_for_report("web", is_error); }
    bool wait_for_recovery() const {
        return bench.wait_for_report("web", is_error) && bench.wait_for_report("web", is_recovery);
    }
    bool file_has(const std::string& text, const std::string& key = "web") const {
        return wait_until([&] { return read_file(file(key)).find(text) != std::string::npos; });
    }
    std::string first_error() const {
        for (const LogReport& report : bench.reports("web")) {
            if (is_error(report)) return report.error;
        }
        return {};
    }
    LogSpec blocking() const {
        LogSpec spec;
        spec.on_error = LogOnError::Block;
        return spec;
    }

    TempDir dir;
    std::string logs = dir.path() + "/logs";
    Bench bench{logs};
    Pipe pipe;
};

using LogOnFullDisk = LogTroubleTest;

TEST_F(LogOnFullDisk, DropsAndCountsExactlyAndGoesOnWhenThereIsSpace) {
    const SmallDisk disk(logs);
    ASSERT_TRUE(disk.mounted());
    const std::string filler = logs + "/filler";
    write_all(Fd(::open(filler.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).get(),
              std::string(12U << 10, 'f'));
    bench.start();
    bench.add("web", pipe);
    const std::string much(100'000, 'x');
    ASSERT_TRUE(write_all(pipe.write.get(), much)); // the writer is not held up
    ASSERT_TRUE(wait_for_error());
    EXPECT_EQ(first_error(), "cannot write " + file() + ": No space left on device");
    ASSERT_TRUE(bench.flush("web"));
    const std::uint64_t written = read_file(file()).size();
    EXPECT_EQ(written, 4096U);

    ASSERT_EQ(::unlink(filler.c_str()), 0);
    ASSERT_TRUE(wait_for_recovery());
    ASSERT_TRUE(write_all(pipe.write.get(), "back\n"));
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    const auto reports = bench.reports("web");
    EXPECT_EQ(reports.back().dropped_bytes, much.size() - written);
    EXPECT_EQ(read_file(file()), much.substr(0, written) + "back\n");
}

TEST_F(LogOnFullDisk, HoldsABlockingUnitAndLosesNothing) {
    const SmallDisk disk(logs);
    ASSERT_TRUE(disk.mounted());
    const std::string filler = logs + "/filler";
    write_all(Fd(::open(filler.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)).get(),
              std::string(12U << 10, 'f'));
    bench.start();
    bench.add("web", pipe, blocking());
    const std::string much(12'000, 'x');
    ASSERT_TRUE(write_all(pipe.write.get(), much));
    ASSERT_TRUE(wait_for_error());
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_LE(read_file(file()).size(), 4096U);
    ASSERT_EQ(::unlink(filler.c_str()), 0);
    ASSERT_TRUE(wait_for_recovery());
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_EQ(read_file(file()), much);
    EXPECT_EQ(bench.reports("web").back().dropped_bytes, 0U);
}

TEST_F(LogOnFullDisk, DoesNotHoldUpOtherUnits) {
    const SmallDisk disk(logs);
    ASSERT_TRUE(disk.mounted());
    bench.start();
    Pipe other;
    bench.add("web", pipe, blocking());
    bench.add("other", other);
    ASSERT_TRUE(write_all(pipe.write.get(), std::string(60'000, 'x')));
    ASSERT_TRUE(wait_for_error());
    ASSERT_TRUE(write_all(other.write.get(), std::string(1'000'000, 'y')));
    EXPECT_TRUE(bench.flush("other"));
}

// A small ext4 in a file, which can be frozen: writes to it then neither succeed nor fail.
class FrozenDisk {
  public:
    FrozenDisk(const std::string& image, const std::string& at) : at_(at) {
        const std::string make = "truncate -s 16M " + image + " && mkfs.ext4 -q " + image +
                                 " && mount -o loop " + image + " " + at + " 2>/dev/null";
        mounted_ = ::unshare(CLONE_NEWNS) == 0 &&
                   ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                   std::system(make.c_str()) == 0;
        directory_.reset(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    ~FrozenDisk() {
        thaw();
        directory_.reset();
        if (mounted_) ::umount2(at_.c_str(), MNT_DETACH);
    }
    FrozenDisk(const FrozenDisk&) = delete;
    FrozenDisk& operator=(const FrozenDisk&) = delete;
    bool mounted() const { return mounted_; }
    // Only a machine without loop devices, or a user who may not mount, is excused.
    static bool impossible() {
        return ::geteuid() != 0 || ::access("/dev/loop-control", F_OK) != 0;
    }
    bool freeze() { return frozen_ = ::ioctl(directory_.get(), FIFREEZE, 0) == 0; }
    void thaw() {
        if (std::exchange(frozen_, false)) ::ioctl(directory_.get(), FITHAW, 0);
    }
    int directory() const { return directory_.get(); }

  private:
    std::string at_;
    Fd directory_;
    bool mounted_ = false, frozen_ = false;
};

class LogOnHangingDisk : public LogTroubleTest {
  protected:
    // The longest of many small non-blocking writes while the disk hangs.
    void expect_no_delay(const LogSpec& spec) {
        FrozenDisk disk(dir.path() + "/image", logs);
        if (FrozenDisk::impossible()) GTEST_SKIP() << "no loop device";
        ASSERT_TRUE(disk.mounted());
        bench.start();
        bench.add("web", pipe, spec);
        std::string sent = "before\n";
        ASSERT_TRUE(write_all(pipe.write.get(), sent));
        ASSERT_TRUE(file_has(sent));
        ASSERT_TRUE(disk.freeze());
        ::fcntl(pipe.write.get(), F_SETFL, O_NONBLOCK);
        std::chrono::steady_clock::duration longest{};
        for (int i = 0; i < 300; ++i) {
            const std::string line = "line " + std::to_string(i) + "\n";
            const auto begin = std::chrono::steady_clock::now();
            ASSERT_TRUE(write_all(pipe.write.get(), line));
            longest = std::max(longest, std::chrono::steady_clock::now() - begin);
            sent += line;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        disk.thaw();
        pipe.write.reset();
        ASSERT_TRUE(bench.wait_for_eof("web"));
        EXPECT_EQ(read_file(file()), sent) << "nothing is lost";
        EXPECT_EQ(bench.reports("web").back().dropped_bytes, 0U);
        EXPECT_LT(longest, std::chrono::milliseconds(5)) << "in a write that must not wait";
    }
};

TEST_F(LogOnHangingDisk, ANonBlockingWriterIsNotDelayed) { expect_no_delay({}); }

TEST_F(LogOnHangingDisk, NorIsOneWhoseBytesMustNotBeDropped) { expect_no_delay(blocking()); }

TEST_F(LogOnHangingDisk, AFileThatMayNotBeChangedIsWrittenAgainOnceItMay) {
    FrozenDisk disk(dir.path() + "/image", logs);
    if (FrozenDisk::impossible()) GTEST_SKIP() << "no loop device";
    ASSERT_TRUE(disk.mounted());
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), "one\n"));
    ASSERT_TRUE(file_has("one\n"));
    ASSERT_EQ(::unlink(file().c_str()), 0);
    const auto set_immutable = [&](bool yes) { // the directory: nothing can be made in it
        int flags = 0;
        ASSERT_EQ(::ioctl(disk.directory(), FS_IOC_GETFLAGS, &flags), 0);
        flags = yes ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
        ASSERT_EQ(::ioctl(disk.directory(), FS_IOC_SETFLAGS, &flags), 0);
    };
    set_immutable(true);
    std::uint64_t lost = 0;
    ASSERT_TRUE(wait_until([&] { // it notices within a second that its file is gone
        write_all(pipe.write.get(), "x\n");
        lost += 2;
        return !bench.reports("web").empty();
    }));
    EXPECT_EQ(first_error(), "cannot open " + file() + ": Operation not permitted");
    ASSERT_TRUE(bench.flush("web"));
    set_immutable(false);
    ASSERT_TRUE(wait_for_recovery());
    ASSERT_TRUE(write_all(pipe.write.get(), "back\n"));
    EXPECT_TRUE(file_has("back\n"));
    EXPECT_LE(bench.reports("web").back().dropped_bytes, lost);
}

using LogPlace = LogTroubleTest;

TEST_F(LogPlace, IsMadeAnewWhenTheFileWasRemoved) {
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), "one\n"));
    ASSERT_TRUE(file_has("one\n"));
    ASSERT_EQ(::unlink(file().c_str()), 0);
    ASSERT_TRUE(wait_until([&] {
        write_all(pipe.write.get(), "two\n");
        return std::filesystem::exists(file());
    }));
    EXPECT_TRUE(file_has("two\n"));
}

TEST_F(LogPlace, IsMadeAnewWhenTheDirectoryWasRemoved) {
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), "one\n"));
    ASSERT_TRUE(file_has("one\n"));
    std::filesystem::remove_all(logs);
    ASSERT_TRUE(wait_until([&] {
        write_all(pipe.write.get(), "two\n");
        return std::filesystem::exists(file());
    }));
    EXPECT_TRUE(file_has("two\n"));
}

TEST_F(LogPlace, IsCreatedWithTheFirstByteAndNotForOthersToRead) {
    std::filesystem::remove_all(logs);
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_FALSE(std::filesystem::exists(logs));
    ASSERT_TRUE(write_all(pipe.write.get(), "x"));
    ASSERT_TRUE(bench.flush("web"));
    struct stat info {};
    ASSERT_EQ(::stat(file().c_str(), &info), 0);
    EXPECT_EQ(
        info.st_mode & 0777U, 0640U & ~[] {
            const mode_t mask = ::umask(0);
            ::umask(mask);
            return mask;
        }());
}

TEST_F(LogPlace, GetsNoHoleWhenSomebodyTruncatesTheFile) {
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), std::string(10'000, 'x') + "\n"));
    ASSERT_TRUE(bench.flush("web"));
    ASSERT_EQ(::truncate(file().c_str(), 0), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100)); // it looks once a second
    ASSERT_TRUE(write_all(pipe.write.get(), "new\n"));
    ASSERT_TRUE(bench.flush("web"));
    EXPECT_EQ(read_file(file()), "new\n");
}

using LogTricks = LogTroubleTest;

TEST_F(LogTricks, ASymbolicLinkIsRefusedAndItsTargetUntouched) {
    const std::string target = dir.path() + "/precious";
    ASSERT_EQ(::symlink(target.c_str(), file().c_str()), 0);
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), "attack\n"));
    ASSERT_TRUE(wait_for_error());
    EXPECT_EQ(first_error(), "cannot open " + file() + ": it is a symbolic link");
    EXPECT_FALSE(std::filesystem::exists(target));
    ASSERT_EQ(::unlink(file().c_str()), 0);
    ASSERT_TRUE(wait_for_recovery());
    ASSERT_TRUE(write_all(pipe.write.get(), "fine\n"));
    EXPECT_TRUE(file_has("fine\n"));
}

TEST_F(LogTricks, ADeviceOrAFifoInPlaceOfTheFileIsRefusedWithoutWaiting) {
    ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), "attack\n"));
    ASSERT_TRUE(wait_for_error());
    EXPECT_EQ(first_error(), "cannot open " + file() + ": not a regular file");
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    EXPECT_EQ(bench.reports("web").back().dropped_bytes, 7U);
}

TEST_F(LogTricks, ADirectoryInPlaceOfTheFileIsAnErrorThatEnds) {
    ASSERT_TRUE(std::filesystem::create_directory(file()));
    bench.start();
    bench.add("web", pipe, blocking());
    ASSERT_TRUE(write_all(pipe.write.get(), "kept\n"));
    ASSERT_TRUE(wait_for_error());
    ASSERT_TRUE(std::filesystem::remove(file()));
    EXPECT_TRUE(file_has("kept\n"));
}

TEST_F(LogTricks, KeysThatAreNoFileNamesAreRefused) {
    bench.start();
    for (const std::string& key : {std::string("../x"), std::string("a/b"), std::string(".."),
                                   std::string(), std::string(80, 'k')}) {
        bench.add(key, pipe);
        EXPECT_TRUE(bench.wait_for_report(key, is_error)) << key;
    }
    write_all(pipe.write.get(), "x");
    ASSERT_TRUE(bench.flush("x"));
    EXPECT_TRUE(std::filesystem::is_empty(logs));
}

TEST_F(LogTricks, WhatIsNoPipeIsRefused) {
    bench.start();
    bench.mover->add(LogSource{"web", 1, ::open("/dev/null", O_RDONLY | O_CLOEXEC), {}});
    EXPECT_TRUE(wait_for_error());
}

TEST_F(LogOnFullDisk, TellsTheReadOnlyFileSystem) {
    const SmallDisk disk(logs);
    ASSERT_TRUE(disk.mounted());
    ASSERT_EQ(::mount("none", logs.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
    bench.start();
    bench.add("web", pipe);
    ASSERT_TRUE(write_all(pipe.write.get(), "lost\n"));
    ASSERT_TRUE(wait_for_error());
    EXPECT_EQ(first_error(), "cannot open " + file() + ": Read-only file system");
    ASSERT_EQ(::mount("none", logs.c_str(), nullptr, MS_REMOUNT, "size=16k"), 0);
    ASSERT_TRUE(wait_for_recovery());
    ASSERT_TRUE(write_all(pipe.write.get(), "back\n"));
    EXPECT_TRUE(file_has("back\n"));
    EXPECT_EQ(bench.reports("web").back().dropped_bytes, 5U);
}

} // namespace
} // namespace keepwell
