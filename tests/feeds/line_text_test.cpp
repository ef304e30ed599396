#include "supervisor/feeds/line_text.h"

#include <gtest/gtest.h>

namespace keepwell::feeds {
namespace {

TEST(ShownText, LeavesWhatIsPlain) {
    EXPECT_EQ(shown_text("GET / 200\tok <b>&amp; grün 🚨"), "GET / 200\tok <b>&amp; grün 🚨");
    EXPECT_EQ(shown_text("with the end of another system\r"), "with the end of another system");
}

TEST(ShownText, ShowsControlCharactersAndMakesUtf8Valid) {
    EXPECT_EQ(shown_text("a\033[31m\007\177b"), "a␛[31m␇␡b");
    EXPECT_EQ(shown_text(std::string_view("nul\0", 4)), "nul␀");
    EXPECT_EQ(shown_text("\xFF\xC3("), "\uFFFD\uFFFD(");
    EXPECT_EQ(shown_text("\u0085\u009B"), "\uFFFD\uFFFD") << "C1";
    EXPECT_EQ(shown_text("a\u202Eb\u2066c\u2028d"), "a\uFFFDb\uFFFDc\uFFFDd");
}

TEST(LineFilter, LooksAtLevelTextAndPattern) {
    LineFilter filter;
    EXPECT_TRUE(filter.wants(std::nullopt, "anything"));
    filter.level = LogLevel::Warn;
    EXPECT_TRUE(filter.wants(LogLevel::Error, ""));
    EXPECT_TRUE(filter.wants(LogLevel::Warn, ""));
    EXPECT_FALSE(filter.wants(LogLevel::Info, ""));
    EXPECT_FALSE(filter.wants(std::nullopt, ""));
    LineFilter text;
    text.literal = Literal("A.b");
    EXPECT_TRUE(text.wants(std::nullopt, "xa.B"));
    EXPECT_FALSE(text.wants(std::nullopt, "axb"));
    text.pattern = Pattern::compile("x$").value();
    EXPECT_FALSE(text.wants(std::nullopt, "a.b"));
    EXPECT_TRUE(text.wants(std::nullopt, "a.b x"));
}

TEST(Literal, IsFoundWhereverItIs) {
    for (const std::string text : {"a", "aa", "ab", "aab", "abab", "abaabab", "aaaa"})
        for (unsigned bits = 0; bits < 1U << 10; ++bits) {
            std::string where;
            for (unsigned i = 0; i < 10; ++i) where += (bits >> i & 1U) != 0 ? 'A' : 'B';
            std::string lower = where;
            for (char& c : lower) c = static_cast<char>(c + 32);
            EXPECT_EQ(Literal(text).found_in(where), lower.find(text) != std::string::npos)
                << text << " in " << where;
        }
    EXPECT_TRUE(Literal().found_in(""));
    EXPECT_FALSE(Literal("x").found_in(""));
    EXPECT_TRUE(Literal("GRÜN").found_in("grÜn")) << "other letters as they are";
    EXPECT_FALSE(Literal("GRÜN").found_in("grün"));
}

// Takes minutes where each place is tried anew.
TEST(Literal, IsLookedForInLinearTime) {
    const std::string line(64U << 20, 'a');
    EXPECT_FALSE(Literal(std::string(999, 'a') + 'b').found_in(line));
}

TEST(LineJson, HasEveryFieldAndNullForWhatIsNotKnown) {
    const FeedSource source{FeedSource::Kind::File, "web", "web", "stdout", {}};
    std::string out;
    append_line_json(out, source, std::nullopt, std::nullopt, "a \"b\"");
    EXPECT_EQ(out, R"({"timestamp":null,"message":"a \"b\"","type":"log","level":null,)"
                   R"("daemon":"web","stream":"stdout"})");
    out.clear();
    append_line_json(out, source, 1'761'566'400'000, LogLevel::Error, "x");
    EXPECT_EQ(out, R"({"timestamp":"2025-10-27T12:00:00.000Z","message":"x","type":"log",)"
                   R"("level":"error","daemon":"web","stream":"stdout","error":true})");
}

} // namespace
} // namespace keepwell::feeds
