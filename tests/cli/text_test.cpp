#include "supervisor/cli/text.h"

#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

TEST(SafeText, NoControlCharacterReachesTheTerminal) {
    EXPECT_EQ(safe_text("a\x1b[2Jb\r\n\x07"), "a\\x1b[2Jb\\x0d\\x0a\\x07");
    EXPECT_EQ(safe_text("\xc2\x9b"
                        "31m"),
              "\\x9b31m");
    EXPECT_EQ(safe_text(std::string_view("\0", 1)), "\\x00");
}

TEST(SafeText, BidirectionalOverridesBecomeVisible) {
    EXPECT_EQ(safe_text("a\u202eb"), "a\\u202eb");
}

TEST(SafeText, BrokenUtf8BecomesVisibleAndGoodUtf8Stays) {
    EXPECT_EQ(safe_text("gr\xc3\xbc\xc3\x9f \xff \xc3"), "grüß \\xff \\xc3");
    EXPECT_EQ(safe_text("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // a surrogate
    EXPECT_EQ(safe_text("\xc0\xaf"), "\\xc0\\xaf");          // overlong
}

TEST(SafeLogLine, ColoursAreDroppedAndEverythingElseIsEscaped) {
    EXPECT_EQ(safe_log_line("\x1b[1;31mred\x1b[0m\tx\x1b]0;title\x07\r"),
              "red\tx\\x1b]0;title\\x07");
}

TEST(Width, CountsColumnsNotBytes) {
    EXPECT_EQ(display_width("grüß"), 4);
    EXPECT_EQ(display_width("日本"), 4);
    EXPECT_EQ(display_width("e\u0301"), 1);
}

TEST(Fit, CutsWithAnEllipsisAndNeverSplitsACharacter) {
    EXPECT_EQ(fit("abcdef", 6, {}), "abcdef");
    EXPECT_EQ(fit("abcdefg", 6, {}), "abcde…");
    EXPECT_EQ(fit("日本語", 4, {}), "日…");
    Style ascii;
    ascii.utf8 = false;
    EXPECT_EQ(fit("abcdefg", 6, ascii), "abcde~");
}

TEST(Human, TimesAndSizesReadLikeTheDesign) {
    EXPECT_EQ(human_age(6 * 86400 + 4 * 3600 + 59), "6d 4h");
    EXPECT_EQ(human_age(3 * 3600 + 2 * 60), "3h 2m");
    EXPECT_EQ(human_age(12 * 86400), "12d");
    EXPECT_EQ(human_age(44.9), "44s");
    EXPECT_EQ(human_age(-3), "0s");
    EXPECT_EQ(human_bytes(14.0 * 1024 * 1024), "14M");
    EXPECT_EQ(human_bytes(1.25 * 1024 * 1024 * 1024), "1.2G");
    EXPECT_EQ(human_ms(0.2), "0.2 ms");
    EXPECT_EQ(human_ms(1800), "1.8 s");
    EXPECT_EQ(human_seconds(39), "39 s");
    EXPECT_EQ(human_seconds(151.5), "2.5 m");
}

TEST(FailureText, SaysOnceWhatCouldNotBeDone) {
    EXPECT_EQ(failure_text("cannot go on", "no answer"), "cannot go on: no answer");
    EXPECT_EQ(failure_text("cannot go on", "cannot reach keepwell"), "cannot reach keepwell");
}

TEST(ParseTime, ReadsTheTimesOfTheStatusDocument) {
    EXPECT_EQ(parse_time("2025-10-27T12:00:00.000Z"), 1761566400000);
    EXPECT_EQ(parse_time("1970-01-01T00:00:01.250Z"), 1250);
    EXPECT_FALSE(parse_time(""));
    EXPECT_FALSE(parse_time("yesterday"));
}

TEST(Paint, IsPlainWithoutColour) {
    Style style;
    EXPECT_EQ(paint("x", Colour::Red, style), "x");
    style.colour = true;
    EXPECT_EQ(paint("x", Colour::Red, style), "\x1b[31mx\x1b[0m");
}

} // namespace
} // namespace keepwell::cli
