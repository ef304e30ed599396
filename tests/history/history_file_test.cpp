#include "tests/history/history_support.h"

#include <fstream>
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell::history::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct HistoryFileTest : Folder {};

RollUp full_minute() {
    RollUp r = spent(Spent::Ok, 60'000);
    r.checks = 6;
    r.failures = 1;
    r.restarts = 2;
    r.latency_us = {5, 100, 900, 2500};
    r.cpu_hundredths = {6, 0, 800, 1200};
    r.memory_kib = {6, 1000, 2000, 9000};
    return r;
}

TEST_F(HistoryFileTest, WhatIsWrittenIsReadAgainByTheNextOne) {
    ASSERT_TRUE(open()->write(minutes("web", kNoonS, 1, full_minute())));
    const auto story = open()->story("web", Range::Hour, after_noon(65));
    ASSERT_TRUE(story);
    ASSERT_EQ(story->points.size(), 60U);
    EXPECT_EQ(story->points[58].time, kNoon);
    EXPECT_EQ(story->points[58].roll_up, full_minute());
    EXPECT_TRUE(story->points[59].roll_up.empty());
    EXPECT_TRUE(notes.empty());
}

TEST_F(HistoryFileTest, TheFileIsNotForEverybody) {
    (void)open();
    struct stat st {};
    ASSERT_EQ(stat(path.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777 & ~0640U, 0U);
}

TEST_F(HistoryFileTest, TwoSupervisorsInOneMinuteAddUp) {
    const auto file = open();
    RollUp first = spent(Spent::Ok, 20'000);
    first.latency_us = {1, 50, 50, 50};
    RollUp second = spent(Spent::Down, 30'000);
    second.latency_us = {2, 10, 30, 40};
    ASSERT_TRUE(file->write(minutes("web", kNoonS, 1, first)));
    ASSERT_TRUE(file->write(minutes("web", kNoonS, 1, second)));
    ASSERT_TRUE(file->write(minutes("web", kNoonS, 1, {}))); // no figures: minima stay
    const RollUp r = file->story("web", Range::Hour, kNoon)->points.back().roll_up;
    EXPECT_EQ(r.in(Spent::Ok), 20'000);
    EXPECT_EQ(r.in(Spent::Down), 30'000);
    EXPECT_EQ(r.latency_us, (Figure{3, 10, 50, 90}));
}

TEST_F(HistoryFileTest, HoursAndDaysAreMadeOfTheirMinutes) {
    const auto file = open();
    // From 11:30 to 12:30: one half in each hour.
    ASSERT_TRUE(file->write(minutes("web", kNoonS - 1800, 30, spent(Spent::Ok, 60'000))));
    ASSERT_TRUE(file->write(minutes("web", kNoonS, 30, spent(Spent::Down, 60'000))));
    const auto week = file->story("web", Range::Week, after_noon(1800));
    ASSERT_EQ(week->points.size(), 168U);
    EXPECT_EQ(week->points[167].time, kNoon);
    EXPECT_EQ(week->points[166].roll_up, spent(Spent::Ok, 1'800'000));
    EXPECT_EQ(week->points[167].roll_up, spent(Spent::Down, 1'800'000));
    const auto quarter = file->story("web", Range::Quarter, after_noon(1800));
    ASSERT_EQ(quarter->points.size(), 90U);
    EXPECT_EQ(quarter->points[89].time.ms, kNoon.ms - 12 * 3'600'000);
    EXPECT_EQ(quarter->points[89].roll_up.in(Spent::Down), 1'800'000);
    const auto day = file->story("web", Range::Day, after_noon(1799));
    ASSERT_EQ(day->points.size(), 288U);
    EXPECT_EQ(day->points[287].roll_up.in(Spent::Down), 300'000);
    EXPECT_EQ(day->points[281].roll_up.in(Spent::Ok), 300'000);
}

TEST_F(HistoryFileTest, AnUnknownUnitHasEmptyPoints) {
    const auto story = open()->story("nobody", Range::Quarter, kNoon);
    ASSERT_TRUE(story);
    EXPECT_EQ(story->points.size(), 90U);
    for (const auto& p : story->points) EXPECT_TRUE(p.roll_up.empty());
}

TEST_F(HistoryFileTest, EventsAreReadByTimeAndSequenceAndNeverTwice) {
    const auto file = open();
    Batch b;
    b.now = kNoon;
    for (int i = 1; i <= 5; ++i)
        b.events.push_back(
            event(static_cast<std::uint64_t>(i), after_noon(i / 3), "e" + std::to_string(i)));
    ASSERT_TRUE(file->write(b));
    ASSERT_TRUE(file->write(b)); // brought again from the timeline's own file
    auto found = file->events(kNoon, 0, 3);
    ASSERT_EQ(found->size(), 3U);
    EXPECT_EQ(found->back().text, "e3");
    found = file->events(found->back().time, found->back().sequence, 3);
    ASSERT_EQ(found->size(), 2U);
    EXPECT_EQ(found->front().text, "e4");
    EXPECT_EQ(file->last_event(after_noon(60))->ms, after_noon(1).ms);
    EXPECT_EQ(file->last_event(kNoon)->ms, kNoon.ms) << "a clock that was ahead wrote the others";
    EXPECT_EQ(file->last_event(WallTime{1})->ms, 0);
}

TEST_F(HistoryFileTest, ChangesOfTheRangeComeWithTheStory) {
    const auto file = open();
    Batch b;
    b.now = kNoon;
    b.changes.push_back({after_noon(-7200), "web", "running", "healthy", ""});
    b.changes.push_back({kNoon, "web", "stopping", "down", "http 503"});
    b.changes.push_back({kNoon, "web", "backoff", "down", "exit 1"}); // of the same millisecond
    b.changes.push_back({kNoon, "other", "running", "healthy", ""});
    ASSERT_TRUE(file->write(b));
    const auto story = file->story("web", Range::Hour, after_noon(1));
    ASSERT_EQ(story->changes.size(), 2U);
    EXPECT_EQ(story->changes[0].state, "stopping");
    EXPECT_EQ(story->changes[1].reason, "exit 1");
}

TEST_F(HistoryFileTest, UptimesAreCountedOverEachWindow) {
    const auto file = open();
    ASSERT_TRUE(file->write(minutes("web", kNoonS - 86'400 * 3, 60, spent(Spent::Down, 60'000))));
    ASSERT_TRUE(file->write(minutes("web", kNoonS - 7200, 60, spent(Spent::Down, 60'000))));
    ASSERT_TRUE(file->write(minutes("web", kNoonS - 1800, 30, spent(Spent::Degraded, 60'000))));
    const auto all = file->uptimes(kNoon, false);
    ASSERT_EQ(all->count("web"), 1U);
    const Uptime u = all->at("web");
    EXPECT_EQ(u[0].up_ms, 1'800'000);
    EXPECT_EQ(u[0].down_ms, 0);
    EXPECT_EQ(u[1].down_ms, 3'600'000);
    EXPECT_EQ(u[2].down_ms, 7'200'000);
    EXPECT_EQ(u[3].up_ms, 1'800'000);
    const auto hour = file->uptimes(kNoon, true);
    EXPECT_EQ(hour->at("web")[0].up_ms, 1'800'000);
}

TEST_F(HistoryFileTest, StepsComeBackWithWhatNobodyMadeInBetween) {
    const auto file = open();
    const auto step = [&](std::int64_t at, std::vector<std::pair<std::string, char>> letters) {
        Batch b;
        b.now = after_noon(at);
        b.step = StepRow{b.now, std::move(letters)};
        ASSERT_TRUE(file->write(b));
    };
    step(0, {{"web", 'U'}});
    step(30, {{"web", 'U'}, {"db", 'D'}});
    // A supervisor that was away over one step, and one that came a little late.
    step(91, {{"web", 'G'}, {"db", 'U'}});
    auto steps = file->steps(after_noon(100), std::chrono::seconds(30), 60);
    EXPECT_EQ(steps->letters.at("web"), "UUXG");
    EXPECT_EQ(steps->letters.at("db"), "DXU");
    EXPECT_EQ(steps->last, after_noon(91));
    // Two more ought to have been made since; the one that runs is not over.
    steps = file->steps(after_noon(160), std::chrono::seconds(30), 60);
    EXPECT_EQ(steps->letters.at("web"), "UUXGXX");
    EXPECT_EQ(file->steps(after_noon(160), std::chrono::seconds(30), 3)->letters.at("web"), "GXX");
    EXPECT_TRUE(file->steps(after_noon(9000), std::chrono::seconds(30), 60)->letters.empty());
}

TEST_F(HistoryFileTest, OnlySixtyStepsAreKept) {
    const auto file = open();
    for (int i = 0; i < 70; ++i) {
        Batch b;
        b.now = after_noon(i * 30);
        b.step = StepRow{b.now, {{"web", 'U'}}};
        ASSERT_TRUE(file->write(b));
    }
    EXPECT_EQ(sql(path, "SELECT count(*) FROM step"), 60);
}

TEST_F(HistoryFileTest, StepsOfAClockThatWasAheadDoNotPushOutNewOnes) {
    const auto file = open();
    const auto step = [&](std::int64_t at, char letter) {
        Batch b;
        b.now = after_noon(at);
        b.step = StepRow{b.now, {{"web", letter}}};
        ASSERT_TRUE(file->write(b));
    };
    for (int i = 0; i < 60; ++i) step(1'000'000 + i * 30, 'D');
    step(0, 'U');
    step(30, 'U');
    EXPECT_EQ(sql(path, "SELECT count(*) FROM step"), 2);
    EXPECT_EQ(file->steps(after_noon(31), std::chrono::seconds(30), 60)->letters.at("web"), "UU");
}

TEST_F(HistoryFileTest, RowsOfAClockThatStoodAtItsBeginningGoToo) {
    const auto file = open();
    ASSERT_TRUE(file->write(minutes("web", 0, 2, spent(Spent::Ok, 60'000))));
    ASSERT_TRUE(file->trim(kNoon, Limits{}));
    EXPECT_EQ(sql(path, "SELECT count(*) FROM minute"), 0);
    EXPECT_EQ(sql(path, "SELECT count(*) FROM hour"), 0);
}

TEST_F(HistoryFileTest, WhatIsTooOldGoesPieceByPiece) {
    const auto file = open();
    ASSERT_TRUE(file->write(minutes("web", kNoonS, 120, spent(Spent::Ok, 60'000))));
    Batch b;
    b.now = kNoon;
    b.events.push_back(event(1, kNoon, "old"));
    b.changes.push_back({kNoon, "web", "running", "healthy", ""});
    ASSERT_TRUE(file->write(b));
    Limits limits;
    limits.minute = std::chrono::hours(1);
    limits.hour = std::chrono::hours(24);
    ASSERT_TRUE(file->trim(after_noon(7200), limits));
    EXPECT_EQ(sql(path, "SELECT count(*) FROM minute"), 90); // half an hour at a time
    ASSERT_TRUE(file->trim(after_noon(7200), limits));
    ASSERT_TRUE(file->trim(after_noon(7200), limits));
    EXPECT_EQ(sql(path, "SELECT count(*) FROM minute"), 60);
    EXPECT_EQ(sql(path, "SELECT count(*) FROM hour"), 2);
    EXPECT_EQ(sql(path, "SELECT count(*) FROM event"), 1);
    ASSERT_TRUE(file->trim(after_noon(86'400 + 3601), limits));
    EXPECT_EQ(sql(path, "SELECT count(*) FROM hour"), 1);
    EXPECT_EQ(sql(path, "SELECT count(*) FROM event"), 0);
    EXPECT_EQ(sql(path, "SELECT count(*) FROM change"), 0);
}

TEST_F(HistoryFileTest, EventsAndChangesAreBoundedByCount) {
    const auto file = open();
    Batch b;
    b.now = kNoon;
    for (int i = 1; i <= 50; ++i) {
        b.events.push_back(event(static_cast<std::uint64_t>(i), after_noon(i), "e"));
        b.changes.push_back({after_noon(i), "web", "running", "healthy", ""});
    }
    ASSERT_TRUE(file->write(b));
    Limits limits;
    limits.max_events = limits.max_changes = 20;
    ASSERT_TRUE(file->trim(after_noon(60), limits));
    EXPECT_EQ(sql(path, "SELECT count(*) FROM event"), 20);
    EXPECT_EQ(sql(path, "SELECT min(sequence) FROM event"), 31);
    EXPECT_EQ(sql(path, "SELECT count(*) FROM change"), 20);
}

TEST_F(HistoryFileTest, TheSizeIsBoundedAndTheNewestStays) {
    const auto file = open();
    for (int unit = 0; unit < 20; ++unit)
        ASSERT_TRUE(
            file->write(minutes("unit" + std::to_string(unit), kNoonS, 600, full_minute())));
    Limits limits;
    limits.max_size = 512 << 10;
    ASSERT_GT(*file->size(), limits.max_size);
    for (int i = 0; i < 40 && *file->size() > limits.max_size; ++i)
        ASSERT_TRUE(file->trim(after_noon(36'000), limits));
    EXPECT_LE(*file->size(), limits.max_size);
    EXPECT_EQ(sql(path, "SELECT max(bucket) FROM minute"), kNoonS / 60 + 599);
    EXPECT_GT(sql(path, "SELECT count(*) FROM minute"), 1000) << "a tenth at a time, no more";
    // The file system gets the room back, too.
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(file->trim(after_noon(36'000), limits));
    EXPECT_LT(sql(path, "PRAGMA page_count") * 4096, 3 * (512 << 10));
}

TEST_F(HistoryFileTest, WhatAClockThatWasAheadWroteIsNoMeasureOfWhatIsOld) {
    const auto file = open();
    for (int unit = 0; unit < 20; ++unit)
        ASSERT_TRUE(
            file->write(minutes("unit" + std::to_string(unit), kNoonS, 600, full_minute())));
    ASSERT_TRUE(file->write(minutes("web", kNoonS + 100 * 86'400, 1, full_minute())));
    Limits limits;
    limits.max_size = *file->size() - 1;
    ASSERT_TRUE(file->trim(after_noon(36'000), limits));
    EXPECT_EQ(sql(path, "SELECT count(*) FROM minute"), 20 * 540 + 1);
}

TEST_F(HistoryFileTest, TheLogIsMovedIntoTheFileAndStaysSmall) {
    const auto file = open();
    for (int i = 0; i < 200; ++i) {
        Batch b;
        for (int unit = 0; unit < 200; ++unit)
            b.minutes.push_back({"unit" + std::to_string(unit), kNoonS / 60 + i, full_minute()});
        b.now = after_noon(i * 60);
        ASSERT_TRUE(file->write(b));
        ASSERT_TRUE(file->checkpoint());
    }
    EXPECT_LT(std::filesystem::file_size(path + "-wal"), 4U << 20);
}

TEST_F(HistoryFileTest, AFileOfVersionOneIsBroughtUpAndKeepsWhatItHas) {
    {
        const auto file = open();
        ASSERT_TRUE(file->write(minutes("web", kNoonS, 1, full_minute())));
    }
    sql(path, "DROP TABLE change; DROP TABLE step; PRAGMA user_version = 1;");
    const auto file = open();
    ASSERT_TRUE(file);
    EXPECT_TRUE(notes.empty());
    EXPECT_EQ(file->story("web", Range::Hour, kNoon)->points.back().roll_up, full_minute());
    Batch b;
    b.now = kNoon;
    b.changes.push_back({kNoon, "web", "running", "healthy", ""});
    ASSERT_TRUE(file->write(b));
    EXPECT_EQ(sql(path, "PRAGMA user_version"), kSchemaVersion);
}

TEST_F(HistoryFileTest, AFileOfALaterVersionIsMovedAsideUntouched) {
    { ASSERT_TRUE(open()->write(minutes("web", kNoonS, 1, full_minute()))); }
    sql(path, "PRAGMA user_version = 7;");
    const auto file = open();
    ASSERT_TRUE(file);
    EXPECT_THAT(notes, ElementsAre(HasSubstr("was written by a later keepwell")));
    EXPECT_TRUE(file->story("web", Range::Hour, kNoon)->points.back().roll_up.empty());
    EXPECT_EQ(sql(path + ".version-7", "SELECT count(*) FROM minute"), 1);
}

TEST_F(HistoryFileTest, ADamagedFileIsMovedAsideAndFiveAreKept) {
    for (int i = 1; i <= 7; ++i) {
        std::ofstream(path, std::ios::trunc)
            << "this is no database, attempt " << i << std::string(8192, 'x');
        notes.clear();
        ASSERT_TRUE(open());
        EXPECT_THAT(notes, ElementsAre(HasSubstr("a new history begins")));
    }
    EXPECT_THAT(files(), ElementsAre("history.db", "history.db.corrupt-1", "history.db.corrupt-2",
                                     "history.db.corrupt-3", "history.db.corrupt-4",
                                     "history.db.corrupt-5"));
    std::string newest;
    std::getline(std::ifstream(path + ".corrupt-5") >> std::ws, newest, 'x');
    EXPECT_THAT(newest, HasSubstr("attempt 7"));
}

TEST_F(HistoryFileTest, PagesThatWereOverwrittenAreFoundAtTheStart) {
    {
        const auto file = open();
        for (int unit = 0; unit < 50; ++unit)
            ASSERT_TRUE(
                file->write(minutes("unit" + std::to_string(unit), kNoonS, 100, full_minute())));
    }
    {
        std::fstream raw(path, std::ios::in | std::ios::out | std::ios::binary);
        raw.seekp(4096 * 4);
        raw << std::string(4096 * 8, '\xA5');
    }
    ASSERT_TRUE(open());
    EXPECT_THAT(notes, ElementsAre(HasSubstr("it is damaged")));
    EXPECT_TRUE(std::filesystem::exists(path + ".corrupt-1"));
}

TEST_F(HistoryFileTest, AnEmptyFileIsANewHistory) {
    std::ofstream(path).flush();
    ASSERT_TRUE(open()->write(minutes("web", kNoonS, 1, full_minute())));
    EXPECT_TRUE(notes.empty());
}

TEST_F(HistoryFileTest, LinksAndFoldersAreRefused) {
    std::filesystem::create_symlink(folder + "/elsewhere", path);
    const auto linked = HistoryFile::open(path, notes);
    ASSERT_FALSE(linked);
    EXPECT_THAT(linked.error().message, HasSubstr("cannot open " + path));
    EXPECT_FALSE(std::filesystem::exists(folder + "/elsewhere"));
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    EXPECT_FALSE(HistoryFile::open(path, notes));
}

TEST_F(HistoryFileTest, KilledInTheMiddleItLosesNothingThatWasWritten) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        std::vector<std::string> ignored;
        auto file = HistoryFile::open(path, ignored);
        for (int i = 0; file; ++i) {
            if (!(*file)->write(minutes("web", kNoonS + i * 60, 1, full_minute()))) break;
            if (i == 50 && write(ready[1], "x", 1) != 1) break;
        }
        _exit(1);
    }
    close(ready[1]);
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    close(ready[0]);
    const auto file = open();
    ASSERT_TRUE(file);
    EXPECT_TRUE(notes.empty());
    EXPECT_GE(sql(path, "SELECT count(*) FROM minute"), 51);
    EXPECT_EQ(sql(path, "SELECT sum(ok) FROM minute"), sql(path, "SELECT sum(ok) FROM hour"));
}

TEST_F(HistoryFileTest, AFullDiskIsAnErrorAndRoomMakesItWorkAgain) {
    if (geteuid() != 0 || mount("none", folder.c_str(), "tmpfs", 0, "size=1m") != 0)
        GTEST_SKIP() << "a small file system can be mounted by root only";
    {
        const auto file = open();
        ASSERT_TRUE(file);
        ASSERT_TRUE(file->write(minutes("web", kNoonS, 1, full_minute())));
        std::ofstream(folder + "/filler") << std::string(2 << 20, 'x');
        Status last = Done{};
        for (int i = 1; i < 500 && last; ++i)
            last = file->write(minutes("unit" + std::to_string(i), kNoonS, 60, full_minute()));
        ASSERT_FALSE(last);
        EXPECT_EQ(last.error().code, kFull);
        EXPECT_THAT(last.error().message, HasSubstr("cannot write " + path));
        EXPECT_TRUE(file->story("web", Range::Hour, kNoon)); // still readable
        std::filesystem::remove(folder + "/filler");
        EXPECT_TRUE(file->write(minutes("late", kNoonS, 1, full_minute())));
        EXPECT_EQ(file->story("late", Range::Hour, kNoon)->points.back().roll_up, full_minute());
    }
    umount2(folder.c_str(), MNT_DETACH);
}

} // namespace
} // namespace keepwell::history::test
