#include "watchers/pid_file.h"

#include "watchers/procfs.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST(ParsePid, TakesANumberAndWhatDaemonsWriteAroundIt) {
    EXPECT_EQ(parse_pid("812"), 812);
    EXPECT_EQ(parse_pid("812\n"), 812);
    EXPECT_EQ(parse_pid("  812 \r\n"), 812);
    EXPECT_EQ(parse_pid("812\n/var/lib/postgresql/15/main\n1764331200\n5432\n"), 812);
}

TEST(ParsePid, TakesNothingElse) {
    using std::string_view_literals::operator""sv;
    for (const std::string_view text :
         {""sv, "\n"sv, "0"sv, "-1"sv, "+5"sv, "0x10"sv, "12a"sv, "1 2"sv, "12\n34\n"sv, "12\n34"sv,
          "99999999999"sv, "4194305"sv, "12\0"sv, "\0"sv, "١٢"sv, "1e3"sv, "12."sv})
        EXPECT_EQ(parse_pid(text), std::nullopt) << text;
}

TEST(ParsePid, AnyBytesGiveAPidInRangeOrNothing) {
    std::mt19937 random(1); // NOLINT: the same bytes every time
    std::uniform_int_distribution<int> length(0, 40), byte(0, 255), digit('0', '9');
    for (int n = 0; n < 200'000; ++n) {
        std::string text(static_cast<std::size_t>(length(random)), '\0');
        for (char& c : text) c = static_cast<char>(n % 3 == 0 ? byte(random) : digit(random));
        if (const auto pid = parse_pid(text)) {
            EXPECT_GT(*pid, 0);
            EXPECT_LE(*pid, 1 << 22);
        }
    }
}

class PidFile : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "pidfile-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
        query_.path = folder_ / "a.pid";
        query_.uid = geteuid();
        query_.proc = folder_ / "proc";
    }
    void TearDown() override { fs::remove_all(folder_); }
    void write(const std::string& text) const { std::ofstream(query_.path) << text; }
    // A process of this user that began so many seconds before now.
    void process(std::int64_t pid, double age, char state = 'S') const {
        timespec boot{};
        clock_gettime(CLOCK_BOOTTIME, &boot);
        const double began =
            static_cast<double>(boot.tv_sec) + static_cast<double>(boot.tv_nsec) / 1e9 - age;
        const auto ticks = static_cast<std::uint64_t>(began * ticks_per_second());
        const fs::path dir = folder_ / "proc" / std::to_string(pid);
        fs::create_directories(dir);
        std::ofstream(dir / "stat")
            << pid << " (daemon) " << state << " 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 " << ticks
            << " 0 0 0\n";
    }
    MainSight read() const { return read_pid_file(query_); }

    fs::path folder_;
    PidFileQuery query_;
};

TEST_F(PidFile, NamesALiveProcessThatIsNotYoungerThanItself) {
    process(812, 60);
    write("812\n");
    const MainSight s = read();
    EXPECT_EQ(s.pid, 812);
    EXPECT_GT(s.start_ticks, 0U);
    EXPECT_EQ(s.why, "");
}

TEST_F(PidFile, MissingEmptyAndTornMayStillCome) {
    EXPECT_TRUE(read().unsettled);
    write("");
    EXPECT_TRUE(read().unsettled);
    write("81x");
    EXPECT_TRUE(read().unsettled);
}

TEST_F(PidFile, ADeadProcessAZombieAndKeepwellItselfAreNobody) {
    write("812\n");
    EXPECT_THAT(read().why, HasSubstr("does not run"));
    EXPECT_FALSE(read().unsettled);
    process(812, 60, 'Z');
    EXPECT_THAT(read().why, HasSubstr("does not run"));
    write("1\n");
    EXPECT_THAT(read().why, HasSubstr("never a daemon's"));
    write(std::to_string(getpid()) + "\n");
    EXPECT_THAT(read().why, HasSubstr("never a daemon's"));
    query_.keeper = 900;
    write("900\n");
    EXPECT_THAT(read().why, HasSubstr("never a daemon's"));
}

TEST_F(PidFile, AReusedNumberIsNobody) {
    write("812\n");
    fs::last_write_time(query_.path, fs::file_time_type::clock::now() - std::chrono::seconds(30));
    process(812, 20);
    EXPECT_THAT(read().why, HasSubstr("reused"));
    EXPECT_EQ(read().pid, 0);
}

TEST_F(PidFile, WhoMayWriteItDecides) {
    process(812, 60);
    write("812\n");
    fs::permissions(query_.path, fs::perms(0666));
    EXPECT_THAT(read().why, HasSubstr("can be written by others"));
    fs::permissions(query_.path, fs::perms(0644));
    query_.uid = geteuid() + 1;
    if (geteuid() != 0) {
        EXPECT_THAT(read().why, HasSubstr("belongs to user"));
    } else {
        ASSERT_EQ(chown(query_.path.c_str(), 12345, 12345), 0);
        EXPECT_THAT(read().why, HasSubstr("belongs to user 12345"));
        query_.uid = 12345; // its own user may, for processes of that user only
        EXPECT_THAT(read().why, HasSubstr("another user"));
    }
}

TEST_F(PidFile, OnlyARegularFileOfAFewBytesIsRead) {
    ASSERT_EQ(mkfifo(query_.path.c_str(), 0644), 0);
    EXPECT_THAT(read().why, HasSubstr("no regular file")); // and it did not block
    fs::remove(query_.path);
    fs::create_directory(query_.path);
    EXPECT_THAT(read().why, HasSubstr("no regular file"));
    fs::remove(query_.path);
    std::ofstream(folder_ / "target") << "812\n";
    fs::create_symlink(folder_ / "target", query_.path);
    EXPECT_THAT(read().why, HasSubstr("symbolic link"));
    fs::remove(query_.path);
    write(std::string(1 << 20, '7'));
    EXPECT_THAT(read().why, HasSubstr("too large"));
}

TEST_F(PidFile, AServiceOfSystemdIsRecognised) {
    process(812, 60);
    write("812\n");
    const auto in = [&](const std::string& cgroup) {
        std::ofstream(folder_ / "proc/812/cgroup") << cgroup;
        return service_of(812, query_.proc);
    };
    EXPECT_EQ(in("0::/system.slice/nginx.service\n"), "nginx.service");
    EXPECT_EQ(in("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n"),
              "postgresql@15-main.service");
    EXPECT_EQ(in("12:pids:/x.service\n1:name=systemd:/system.slice/a.service\n0::/\n"),
              "a.service");
    EXPECT_EQ(in("0::/user.slice/user-0.slice/user@0.service/init.scope\n"), "");
    EXPECT_EQ(in("0::/user.slice/user-0.slice/user@0.service/app.slice/b.service\n"), "b.service");
    EXPECT_EQ(in("0::/\n"), "");
    in("0::/system.slice/nginx.service\n");
    EXPECT_EQ(read().owner, "nginx.service");
}

} // namespace
} // namespace keepwell
