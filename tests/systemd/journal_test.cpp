// Lines of a unit from real journal files, which systemd-journal-remote writes.
#include "supervisor/systemd/journal.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <unistd.h>

namespace keepwell::systemd {
namespace {

using namespace std::chrono_literals;

class JournalFiles : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "keepwell-journal-XXXXXX";
        folder = mkdtemp(name.data());
        query.directory = folder;
        query.unit = "web.service";
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    // Appends entries of this unit; the time of line n of all is second n.
    void write(const std::string& unit, int count, const std::string& prefix,
               const std::string& extra = "") {
        std::string text;
        for (int i = 0; i < count; ++i) {
            ++written;
            text += "__REALTIME_TIMESTAMP=" + std::to_string(written * 1'000'000) +
                    "\n__MONOTONIC_TIMESTAMP=" + std::to_string(written * 1'000'000) +
                    "\n_BOOT_ID=6f5d2c1e9a8b4c7d8e9f0a1b2c3d4e5f\nMESSAGE=" + prefix +
                    std::to_string(i) + "\nPRIORITY=" + std::to_string(i % 8) +
                    "\n_SYSTEMD_UNIT=" + unit + "\n" + extra + "\n";
        }
        append(text);
    }
    void append(const std::string& exported) {
        const std::string input = folder + "/input";
        std::ofstream(input, std::ios::binary) << exported;
        const std::string command = "/lib/systemd/systemd-journal-remote --split-mode=none -o " +
                                    folder + "/system.journal " + input + " >/dev/null 2>&1";
        ASSERT_EQ(std::system(command.c_str()), 0)
            << "install systemd-journal-remote (contrib/dev deps)";
        std::filesystem::remove(input);
    }
    static std::vector<std::string> texts(const std::vector<JournalLine>& lines) {
        std::vector<std::string> all;
        for (const auto& l : lines) all.push_back(l.text);
        return all;
    }
    using Texts = std::vector<std::string>;

    std::string folder;
    JournalQuery query;
    std::int64_t written = 1'700'000'000;
};

TEST_F(JournalFiles, TheLastLinesOfOneUnitComeInOrder) {
    write("web.service", 20, "w");
    write("other.service", 5, "o");
    query.lines = 3;
    const auto page = read_journal(query);
    ASSERT_TRUE(page) << page.error().message;
    EXPECT_EQ(texts(page->lines), (Texts{"w17", "w18", "w19"}));
    EXPECT_EQ(page->lines[0].priority, 1);
    EXPECT_EQ(page->lines[2].time.ms, 1'700'000'020'000);
}

TEST_F(JournalFiles, ACursorGoesOnWhereItStood) {
    write("web.service", 10, "w");
    query.lines = 4;
    query.after = read_journal([&] {
                      auto q = query;
                      q.lines = 10;
                      return q;
                  }())
                      ->lines[2]
                      .cursor;
    const auto first = read_journal(query);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(texts(first->lines), (Texts{"w3", "w4", "w5", "w6"}));
    EXPECT_TRUE(first->more);
    query.after = first->lines.back().cursor;
    const auto second = read_journal(query);
    EXPECT_EQ(texts(second->lines), (Texts{"w7", "w8", "w9"}));
    EXPECT_FALSE(second->more);
    query.after = second->lines.back().cursor;
    EXPECT_TRUE(read_journal(query)->lines.empty());
}

TEST_F(JournalFiles, NothingOlderThanSinceIsRead) {
    write("web.service", 10, "w");
    query.since.ms = 1'700'000'008'000;
    EXPECT_EQ(texts(read_journal(query)->lines), (Texts{"w7", "w8", "w9"}));
    query.since.ms = 1'800'000'000'000;
    EXPECT_TRUE(read_journal(query)->lines.empty());
}

TEST_F(JournalFiles, ForwardReadsTheFirstLinesOfATime) {
    write("web.service", 10, "w");
    query.since.ms = 1'700'000'004'000;
    query.forward = true;
    query.lines = 2;
    EXPECT_EQ(texts(read_journal(query)->lines), (Texts{"w3", "w4"}));
    query.since = {};
    EXPECT_EQ(texts(read_journal(query)->lines), (Texts{"w0", "w1"}));
}

TEST_F(JournalFiles, APriorityIsAnUpperBoundAndTheRestDoesNotCount) {
    write("web.service", 16, "w"); // priorities 0 to 7, twice
    query.priority = 3;
    query.lines = 5;
    EXPECT_EQ(texts(read_journal(query)->lines), (Texts{"w3", "w8", "w9", "w10", "w11"}));
}

TEST_F(JournalFiles, AReaderTellsWhenThereMayBeMore) {
    write("web.service", 1, "w");
    auto reader = JournalReader::open(query);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(texts(reader->read()->lines), (Texts{"w0"}));
    EXPECT_TRUE(reader->read()->lines.empty());
    ASSERT_GE(reader->wait_fd(), 0);
    pollfd wait{reader->wait_fd(), POLLIN, 0};
    while (poll(&wait, 1, 0) > 0) (void)reader->read(); // what it says of the opening itself
    write("web.service", 1, "v");
    EXPECT_EQ(poll(&wait, 1, 5000), 1);
    EXPECT_EQ(texts(reader->read()->lines), (Texts{"v0"}));
}

TEST(JournalOwner, IsKnownByTheBus) {
    EXPECT_EQ(journal_owner("system"), std::nullopt);
    EXPECT_EQ(journal_owner("user"), geteuid());
    EXPECT_EQ(journal_owner("unix:path=/run/user/1000/bus"), 1000U);
    EXPECT_EQ(journal_owner("unix:path=/run/user//bus"), std::nullopt);
    EXPECT_EQ(journal_owner("unix:path=/tmp/bus"), std::nullopt);
}

TEST_F(JournalFiles, AUsersUnitIsAnotherUnit) {
    write("user@1000.service", 3, "u", "_SYSTEMD_USER_UNIT=web.service\n_UID=1000\n");
    write("user@1001.service", 3, "x", "_SYSTEMD_USER_UNIT=web.service\n_UID=1001\n");
    EXPECT_TRUE(read_journal(query)->lines.empty());
    query.uid = 1000;
    EXPECT_EQ(texts(read_journal(query)->lines), (Texts{"u0", "u1", "u2"}));
}

TEST_F(JournalFiles, MemoryIsBounded) {
    write("web.service", 1500, "w");
    query.lines = 1'000'000;
    query.since.ms = 1;
    query.forward = true;
    auto reader = JournalReader::open(query);
    ASSERT_TRUE(reader) << reader.error().message;
    EXPECT_EQ(reader->read()->lines.size(), 1500U) << "who asks for them gets them";
    write("web.service", 1500, "v");
    std::size_t most = 0, all = 0;
    for (bool more = true; more;) {
        const auto page = reader->read();
        ASSERT_TRUE(page) << page.error().message;
        most = std::max(most, page->lines.size());
        all += page->lines.size();
        more = page->more;
    }
    EXPECT_EQ(most, kMostLines);
    EXPECT_EQ(all, 1500U);
    query.forward = false;
    write("web.service", 1, std::string(100'000, 'x'));
    query.lines = 1;
    const auto page = read_journal(query);
    ASSERT_EQ(page->lines.size(), 1U);
    EXPECT_LE(page->lines[0].text.size(), kLongestLine);
    EXPECT_GT(page->lines[0].text.size(), kLongestLine / 2);
}

TEST_F(JournalFiles, WithoutAJournalTheErrorSaysSo) {
    const auto empty = read_journal(query);
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().message,
              "cannot read the journal: there are no journal files in " + folder);
    query.directory += "/none";
    ASSERT_FALSE(read_journal(query));
    query.unit = "../etc";
    EXPECT_NE(read_journal(query).error().message.find("no name of a systemd unit"),
              std::string::npos);
}

TEST_F(JournalFiles, ADamagedFileOrCursorIsNoCrash) {
    write("web.service", 50, "w");
    query.after = "no cursor";
    const auto bad = read_journal(query);
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().message.find("no cursor of a journal"), std::string::npos);
    query.after.clear();
    const auto size = std::filesystem::file_size(folder + "/system.journal");
    for (std::uintmax_t at = 300; at < size && at < 60'000; at += 997) {
        std::fstream file(folder + "/system.journal",
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(at));
        file.put('\xff');
        file.close();
        const auto page = read_journal(query); // an error, or what is left
        EXPECT_TRUE(!page || page->lines.size() <= 100U);
    }
}

} // namespace
} // namespace keepwell::systemd
