#include "feed_support.h"
#include "supervisor/logs/log_reader.h"

#include <algorithm>

namespace keepwell::feeds {
namespace {

using test::LogFolder;
using test::numbered;
using test::texts;

LogPage page(const LogPlaces& places, LogQuestion question) {
    auto read = read_page(places, question);
    EXPECT_TRUE(read) << read.error().message;
    return read ? std::move(*read) : LogPage{};
}

std::vector<std::string> every_page(const LogPlaces& places, LogQuestion question,
                                    std::size_t most = 1000) {
    std::vector<std::string> all;
    for (std::size_t n = 0; n < most; ++n) {
        const LogPage one = page(places, question);
        EXPECT_TRUE(one.troubles.empty());
        const auto lines = texts(one);
        all.insert(all.begin(), lines.begin(), lines.end());
        if (!one.before) return all;
        question.before = decode_cursor(encode(*one.before));
    }
    ADD_FAILURE() << "the pages do not end";
    return all;
}

TEST(LogPage, OfNothingIsEmptyAndTheLast) {
    const LogFolder folder;
    const LogPage none = page(folder.places({"web"}), {});
    EXPECT_TRUE(none.lines.empty());
    EXPECT_FALSE(none.before);
}

TEST(LogPage, GoesBackOverRotatedAndPackedFilesWithEveryLineOnce) {
    const LogFolder folder;
    for (int file = 0; file < 5; ++file) {
        folder.lines("web", file * 3000, (file + 1) * 3000);
        if (file < 4) folder.rotate("web");
    }
    folder.pack("web", 1);
    folder.pack("web", 2);
    for (const std::size_t lines : {1000U, 333U}) {
        LogQuestion question;
        question.lines = lines;
        EXPECT_EQ(every_page(folder.places({"web"}), question), numbered(0, 15'000));
    }
}

TEST(LogPage, GoesOnWhereItWasAfterARotationAndPacking) {
    const LogFolder folder;
    folder.lines("web", 0, 100);
    LogQuestion question;
    question.lines = 10;
    question.before = page(folder.places({"web"}), question).before;
    folder.rotate("web");
    folder.lines("web", 100, 200);
    folder.pack("web", 1);
    EXPECT_EQ(texts(page(folder.places({"web"}), question)), numbered(80, 90));
    folder.remove("web", 1);
    const LogPage gone = page(folder.places({"web"}), question);
    EXPECT_TRUE(gone.lines.empty());
    ASSERT_EQ(gone.troubles.size(), 1U);
    EXPECT_TRUE(gone.troubles[0].text.empty());
}

TEST(LogPage, CountsAnUnfinishedLineAndEmptyOnes) {
    const LogFolder folder;
    folder.write("web", "a\n\nb");
    EXPECT_EQ(texts(page(folder.places({"web"}), {})), (std::vector<std::string>{"a", "", "b"}));
}

TEST(LogPage, ALineThatContinuesHasTheLevelOfItsHeadOnEveryPage) {
    const LogFolder folder;
    std::string trace = "ERROR bad\n";
    for (int i = 0; i < 2000; ++i) trace += "  at frame " + std::to_string(i) + "\n";
    folder.write("web", "INFO fine\n" + trace + "INFO fine again\n");
    LogQuestion question;
    question.lines = 300;
    question.filter.level = LogLevel::Error;
    EXPECT_EQ(every_page(folder.places({"web"}), question).size(), 2001U);
}

TEST(LogPage, AnEndlessLineIsCutAndTheLinesAroundItAreWhole) {
    const LogFolder folder;
    folder.write("web", "before\n" + std::string(6 << 20, 'x') + "\nafter\n");
    LogQuestion question;
    question.lines = 10;
    const auto lines = every_page(folder.places({"web"}), question);
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0], "before");
    EXPECT_EQ(lines[1].size(), kMaxLogLine + kLogCutMark.size());
    EXPECT_EQ(lines[2], "after");
}

TEST(LogPage, ASearchThatFindsNothingReadsFourMegabytesAtATime) {
    const LogFolder folder;
    for (int i = 0; i < 10; ++i) folder.write("web", std::string(1 << 20, 'y') + "\n");
    std::string lines;
    for (int i = 0; i < 100'000; ++i) lines += "a line of some length that is not wanted\n";
    folder.write("many", "needle\n" + lines + lines);
    LogQuestion question;
    question.filter.literal = Literal("needle");
    const LogPage first = page(folder.places({"many"}), question);
    EXPECT_TRUE(first.lines.empty());
    EXPECT_TRUE(first.before);
    EXPECT_EQ(every_page(folder.places({"many"}), question), std::vector<std::string>{"needle"});
}

TEST(LogPage, MergesSourcesByTimeAndPagesThemAllOnce) {
    const LogFolder folder;
    std::vector<std::string> wanted;
    for (int i = 0; i < 300; ++i) {
        const std::string time = "2026-01-02T03:" + std::to_string(10 + i / 60) + ":" +
                                 std::to_string(i % 60 / 10) + std::to_string(i % 10) + "Z ";
        const std::string line = time + std::to_string(i);
        folder.write(i % 3 == 0 ? "db" : "web", line + "\n");
        wanted.push_back(line);
    }
    LogQuestion question;
    question.lines = 7;
    EXPECT_EQ(every_page(folder.places({"db", "web", "none"}), question), wanted);
}

TEST(LogPage, LinesThatCameAfterTheFirstPageAreOnNoLaterOne) {
    const LogFolder folder;
    folder.lines("web", 0, 20);
    LogQuestion question;
    question.lines = 5;
    question.before = page(folder.places({"web"}), question).before;
    folder.lines("web", 20, 30);
    folder.lines("late", 0, 5, "2036-01-01T00:00:00Z late");
    EXPECT_EQ(every_page(folder.places({"web", "late"}), question), numbered(0, 15));
}

TEST(LogPage, OneUnitThatCannotBeReadIsNamedAndTheOthersAreShown) {
    const LogFolder folder;
    folder.lines("web", 0, 2);
    std::filesystem::create_directory(log_path(folder.path(), "odd"));
    const LogPage both = page(folder.places({"odd", "web"}), {});
    EXPECT_EQ(texts(both), numbered(0, 2));
    ASSERT_EQ(both.troubles.size(), 1U);
    EXPECT_EQ(both.troubles[0].source, 0U);
    EXPECT_EQ(both.troubles[0].text, "cannot read odd.log: not a regular file");
}

TEST(LogPage, RedactsBeforeItFilters) {
    const LogFolder folder;
    folder.write("web", "password=hunter2\nother\n");
    LogPlaces places = folder.places({"web"});
    places.redact = {"password=\\S+"};
    EXPECT_EQ(texts(page(places, {})), (std::vector<std::string>{"[redacted]", "other"}));
    LogQuestion question;
    question.filter.literal = Literal("hunter");
    EXPECT_TRUE(page(places, question).lines.empty());
}

TEST(LogPage, ACursorThatPointsIntoALineDoesNotCutASecretInTwo) {
    const LogFolder folder;
    const std::string first = "one token=abcdefgh! more\n", second = "two token=ijklmnop! more\n";
    folder.write("web", first + second + "three\n");
    LogPlaces places = folder.places({"web"});
    places.redact = {"token=[a-z]{8}!"};
    LogQuestion question;
    question.lines = 1;
    question.before = page(places, question).before;
    ASSERT_TRUE(question.before);
    question.lines = 10;
    FeedPosition& at = question.before->places.begin()->second.at;
    ASSERT_EQ(at.offset, first.size() + second.size());
    const std::vector<std::string> both = {"one [redacted] more", "two [redacted] more"};
    for (at.offset = first.size() + 1; at.offset < first.size() + second.size(); ++at.offset)
        EXPECT_EQ(texts(page(places, question)), both) << at.offset;
    at.offset = first.size();
    EXPECT_EQ(texts(page(places, question)), std::vector<std::string>{both[0]});
}

TEST(LogPage, ACursorThatPointsIntoAnEndlessLineEndsWithIt) {
    const LogFolder folder;
    const std::string line = std::string(kMaxLogLine - 20, 'x') + " token=abcdefgh! more" +
                             std::string(3 * kMaxLogLine, 'y');
    folder.write("web", "one\n" + line + "\nthree\n");
    LogPlaces places = folder.places({"web"});
    places.redact = {"token=[a-z]{8}!"};
    LogQuestion question;
    question.lines = 1;
    question.before = page(places, question).before;
    question.lines = 10;
    FeedPosition& at = question.before->places.begin()->second.at;
    for (const std::size_t inside : {kMaxLogLine - 5, kMaxLogLine + 1, 3 * kMaxLogLine}) {
        at.offset = 4 + inside;
        const auto lines = texts(page(places, question));
        ASSERT_EQ(lines.size(), 2U) << inside;
        EXPECT_EQ(lines[0], "one");
        EXPECT_EQ(lines[1].find("token"), std::string::npos) << inside;
    }
}

TEST(LogPage, ACursorDoesNotBringLinesBackThatTimeHasExcluded) {
    const LogFolder folder;
    folder.write("web", "2026-01-02T03:00:00Z a\n2026-01-02T04:00:00Z b\n2026-01-02T05:00:00Z c\n");
    LogQuestion question;
    question.since_ms = parse_date("2026-01-02T03:30:00Z");
    question.until_ms = parse_date("2026-01-02T04:30:00Z");
    EXPECT_EQ(every_page(folder.places({"web"}), question),
              std::vector<std::string>{"2026-01-02T04:00:00Z b"});
}

} // namespace
} // namespace keepwell::feeds
