#include "supervisor/logs/child_file.h"
#include "supervisor/logs/log_packer.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/packed_log.h"
#include "supervisor/logs/time_index.h"
#include "tests/logs/log_support.h"

#include <gtest/gtest.h>
#include <random>
#include <sys/mount.h>
#include <sys/stat.h>

namespace keepwell {
namespace {

using namespace test;

const std::atomic<bool> kGoOn{false};

std::string random_bytes(std::size_t size) {
    std::mt19937 random(7);
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random() % 97);
    return bytes;
}

std::string zcat(const std::string& path) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(("zcat " + path).c_str(), "r"),
                                                     ::pclose);
    std::string text;
    char buffer[65536];
    while (const std::size_t n = ::fread(buffer, 1, sizeof buffer, pipe.get()))
        text.append(buffer, n);
    return text;
}

class LogPackerTest : public testing::Test {
  protected:
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(dir.path() + "/" + name, std::ios::binary) << text;
    }
    bool exists(const std::string& name) const {
        return std::filesystem::exists(dir.path() + "/" + name);
    }
    bool pack_everything(PackPolicy policy = {}) {
        LogPacker packer(dir.path(), [this](const std::string& error) { errors.push_back(error); });
        packer.set("web", policy);
        packer.start();
        return wait_until([&] { return packer.idle(); });
    }
    std::string packed(std::uint64_t sequence) const {
        return packed_path(dir.path(), "web", sequence);
    }

    TempDir dir;
    std::vector<std::string> errors;
};

TEST_F(LogPackerTest, PacksWhatEveryGzipReadsAndKeepsTimeAndMode) {
    const std::string text = random_bytes(1'000'000);
    write("web.log.1", text);
    write("web.log.2", "");
    write("other.log.1", "not ours\n");
    ::chmod((dir.path() + "/web.log.1").c_str(), 0604);
    const timespec old[2] = {{1'500'000'000, 0}, {1'500'000'000, 0}};
    ::utimensat(AT_FDCWD, (dir.path() + "/web.log.1").c_str(), old, 0);
    ASSERT_TRUE(pack_everything());
    EXPECT_FALSE(exists("web.log.1"));
    EXPECT_EQ(zcat(packed(1)), text);
    EXPECT_EQ(zcat(packed(2)), "");
    EXPECT_TRUE(exists("other.log.1"));
    struct stat info {};
    ASSERT_EQ(::stat(packed(1).c_str(), &info), 0);
    EXPECT_EQ(info.st_mtime, 1'500'000'000);
    EXPECT_EQ(info.st_mode & 0777U, 0604U);
    EXPECT_TRUE(errors.empty());
}

TEST_F(LogPackerTest, LeavesPlainWhatShallStayPlain) {
    write("web.log.1", "one\n");
    write("web.log.2", "two\n");
    PackPolicy policy;
    policy.compress = false;
    ASSERT_TRUE(pack_everything(policy));
    EXPECT_TRUE(exists("web.log.1"));
    EXPECT_TRUE(exists("web.log.2"));
}

TEST_F(LogPackerTest, FinishesWhatAKilledOneLeft) {
    write("web.log.1", "one\n");
    ASSERT_TRUE(pack_everything());
    write("web.log.1", "one\n"); // renamed, but the plain one is not removed yet
    write("web.log.2", "two\n");
    write("web.log.2.gz.tmp", "half of someth");
    const auto lines = read_last_lines(dir.path(), "web", 10);
    ASSERT_TRUE(lines);
    EXPECT_EQ(*lines, (std::vector<std::string>{"one", "two"})) << "nothing counts twice";
    ASSERT_TRUE(pack_everything());
    EXPECT_FALSE(exists("web.log.2.gz.tmp"));
    EXPECT_FALSE(exists("web.log.1"));
    EXPECT_FALSE(exists("web.log.2"));
    EXPECT_EQ(zcat(packed(1)) + zcat(packed(2)), "one\ntwo\n");
}

TEST_F(LogPackerTest, StopsInTheMiddleAndLeavesThePlainFile) {
    write("web.log.1", std::string(1'000'000, 'x'));
    const std::atomic<bool> stop{true};
    const std::string plain = rotated_path(dir.path(), "web", 1);
    const Status status = pack_log(plain, packed(1), stop);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, ECANCELED);
    EXPECT_TRUE(exists("web.log.1"));
    EXPECT_FALSE(exists("web.log.1.gz"));
    EXPECT_FALSE(exists("web.log.1.gz.tmp"));
}

TEST_F(LogPackerTest, RefusesWhatIsNoFile) {
    ASSERT_EQ(::symlink("/etc/passwd", rotated_path(dir.path(), "web", 1).c_str()), 0);
    ASSERT_TRUE(pack_everything());
    EXPECT_FALSE(exists("web.log.1.gz"));
    EXPECT_EQ(errors.size(), 1U);
}

TEST_F(LogPackerTest, PacksWhatTheMoverRotatesAndReadersSeeOneStream) {
    constexpr unsigned long kLines = 30'000;
    Bench bench(dir.path());
    Pipe pipe;
    LogPacker packer(dir.path(), {});
    packer.set("web", {});
    packer.start();
    bench.rotated = [&](const std::string& key) { packer.rotated(key); };
    bench.start();
    LogSpec spec;
    spec.max_size = 64U << 10;
    spec.keep = 1000;
    bench.add("web", pipe, spec);
    LogTail tail(dir.path(), "web", {});
    std::string tailed;
    const auto read_on = [&] {
        const auto lines = tail.poll();
        if (!lines) return;
        for (const auto& line : *lines) tailed += line + "\n";
    };
    for (unsigned long i = 0; i < kLines; ++i) {
        ASSERT_TRUE(write_all(pipe.write.get(), numbered_line(i)));
        if (i % 500 == 0) read_on();
    }
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    ASSERT_TRUE(wait_until([&] { return packer.idle(); }));
    const std::size_t end = tailed.size();
    ASSERT_TRUE(wait_until([&] {
                    const std::size_t before = tailed.size();
                    read_on();
                    return tailed.size() == before && before > end;
                }) ||
                tailed.size() == end);
    EXPECT_EQ(check_numbered(tailed, kLines), "");
    EXPECT_FALSE(exists("web.log.1"));
    EXPECT_TRUE(exists("web.log.1.gz"));
    EXPECT_TRUE(exists("web.log.1.idx"));
    const auto all = read_last_lines(dir.path(), "web", 2 * kLines);
    ASSERT_TRUE(all);
    std::string joined;
    for (const auto& line : *all) joined += line + "\n";
    EXPECT_EQ(check_numbered(joined, kLines), "");
    EXPECT_EQ(read_last_lines(dir.path(), "web", 7)->size(), 7U);
}

TEST_F(LogPackerTest, WhatIsDeletedAsTooOldDoesNotComeBack) {
    Bench bench(dir.path());
    Pipe pipe;
    LogPacker packer(dir.path(), {});
    packer.set("web", {});
    bench.rotated = [&](const std::string& key) { packer.rotated(key); };
    bench.start();
    LogSpec spec;
    spec.max_size = 16U << 10;
    spec.keep = 2;
    bench.add("web", pipe, spec);
    for (unsigned long i = 0; i < 20'000; ++i) write_all(pipe.write.get(), numbered_line(i));
    pipe.write.reset();
    ASSERT_TRUE(bench.wait_for_eof("web"));
    ASSERT_TRUE(wait_until([&] { return packer.idle(); }));
    EXPECT_LE(rotated_sequences(dir.path(), "web").size(), 2U);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& e : std::filesystem::directory_iterator(dir.path())) ++files;
    EXPECT_LE(files, 6U) << "three logs and their time indexes";
}

TEST(ChildFile, GetsAnotherNameAndASuccessorOfTheSameOwner) {
    const TempDir dir;
    LogSpec spec;
    spec.max_size = 10;
    spec.keep = 2;
    const std::string path = log_path(dir.path(), "web");
    std::ofstream(path) << "short\n";
    EXPECT_EQ(rotate_child_file(dir.path(), "web", spec).value(), ChildFile::Fine);
    for (int i = 1; i <= 4; ++i) {
        std::ofstream(path) << "long enough " << i << "\n";
        ::chmod(path.c_str(), 0604);
        const bool root = ::geteuid() == 0;
        if (root) {
            ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
        }
        const auto rotated = rotate_child_file(dir.path(), "web", spec);
        ASSERT_TRUE(rotated);
        ASSERT_EQ(*rotated, ChildFile::Rotated);
        struct stat info {};
        ASSERT_EQ(::stat(path.c_str(), &info), 0);
        EXPECT_EQ(info.st_size, 0);
        EXPECT_EQ(info.st_mode & 0777U, 0604U);
        EXPECT_EQ(info.st_uid, root ? 65534U : ::geteuid());
    }
    EXPECT_EQ(rotated_sequences(dir.path(), "web"), (std::vector<std::uint64_t>{3, 4}));
    EXPECT_EQ(read_file(rotated_path(dir.path(), "web", 4)), "long enough 4\n");
    // Long after, the child still writes to the file that it was told to leave.
    const timespec later[2] = {{::time(nullptr) + 60, 0}, {::time(nullptr) + 60, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, rotated_path(dir.path(), "web", 4).c_str(), later, 0), 0);
    EXPECT_EQ(rotate_child_file(dir.path(), "web", spec).value(), ChildFile::NotReopened);
    std::filesystem::remove(path);
    ASSERT_EQ(::symlink("/etc/passwd", path.c_str()), 0);
    EXPECT_EQ(rotate_child_file(dir.path(), "web", spec).value(), ChildFile::Fine);
    EXPECT_TRUE(std::filesystem::is_symlink(path));
}

TEST(PackedLog, RefusesWhatIsHostile) {
    const TempDir dir;
    const std::string path = dir.path() + "/x.gz";
    for (const std::string& bytes :
         {std::string("\x1f\x8b"), std::string(100, '\0'), std::string(31, 'x'),
          std::string("\x1f\x8b\x08\x04") + std::string(28, '\xff')}) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
        EXPECT_FALSE(PackedLog::open(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path));
    }
    // Cut in the middle of a member, and a broken member: never more than what is there.
    const std::string plain = dir.path() + "/plain";
    std::ofstream(plain) << random_bytes(600'000);
    ASSERT_TRUE(pack_log(plain, path, kGoOn));
    std::string whole = read_file(path);
    whole[whole.size() / 2] = static_cast<char>(~whole[whole.size() / 2]);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole;
    auto broken = PackedLog::open(Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), path);
    if (broken) {
        std::string out(700'000, '\0');
        EXPECT_LE(broken->read(0, out.data(), out.size()), 600'000U);
    }
}

TEST(TimeIndex, TellsWhenBytesWereWrittenAndSurvivesTornEnds) {
    const TempDir dir;
    const std::string log = dir.path() + "/web.log";
    TimeIndexWriter writer;
    writer.mark(log, 42, 0, 1000);
    writer.mark(log, 42, 50, 1050); // too soon
    writer.mark(log, 42, 100, 1100);
    EXPECT_EQ(std::filesystem::file_size(index_path(log)), 16U + 2 * 16U);
    TimeIndex index(log, 42);
    EXPECT_EQ(index.marks().size(), 2U);
    EXPECT_EQ(index.time_at(0), index.time_at(99));
    EXPECT_GT(index.time_at(0).value_or(0), 1'600'000'000'000);
    writer.mark(log, 42, 200, 1300);
    const auto later = index.time_at(250);
    EXPECT_EQ(index.marks().size(), 3U) << "it reads on";
    EXPECT_TRUE(later);
    EXPECT_FALSE(TimeIndex(log, 43).time_at(0)) << "about another file";
    std::ofstream(index_path(log), std::ios::app | std::ios::binary) << "torn";
    EXPECT_EQ(TimeIndex(log, 42).marks().size(), 3U);
    TimeIndexWriter next; // goes on behind the last whole entry
    next.mark(log, 42, 300, 5000);
    EXPECT_EQ(TimeIndex(log, 42).marks().size(), 4U);
    TimeIndexWriter other; // the log was truncated, then it is another file
    other.mark(log, 42, 10, 9000);
    EXPECT_EQ(TimeIndex(log, 42).marks().size(), 1U);
    other.close();
    other.mark(log, 44, 0, 20'000);
    EXPECT_EQ(TimeIndex(log, 44).marks().size(), 1U);
}

TEST(TimeIndex, StaysSmallForALogThatGrowsForMonths) {
    const TempDir dir;
    const std::string log = dir.path() + "/web.log";
    TimeIndexWriter writer;
    std::int64_t now = 0;
    std::uint64_t offset = 0;
    for (int i = 0; i < 100'000; ++i) writer.mark(log, 1, offset += 10, now += 100);
    EXPECT_LT(TimeIndex(log, 1).marks().size(), 75'000U);
}

} // namespace
} // namespace keepwell
