// Foreign text made safe, and the small display forms.
#include "watchers/text.h"

#include "watchers/check_scheduler.h"

#include <gtest/gtest.h>

#include <random>

using namespace keepwell;
using namespace std::chrono_literals;

TEST(CleanText, KeepsTextAndJoinsLines) {
    EXPECT_EQ(clean_text("Grüße, 世界 🙂"), "Grüße, 世界 🙂");
    EXPECT_EQ(clean_text("  a\r\n\tb \n"), "a b");
    EXPECT_EQ(clean_text(""), "");
}

TEST(CleanText, DropsControlAndReorderingCharacters) {
    EXPECT_EQ(clean_text("a\x1b[31mb\x07"), "a[31mb");
    EXPECT_EQ(clean_text(std::string_view("a\0b", 3)), "ab");
    EXPECT_EQ(clean_text("a\xC2\x9B"
                         "b\x7F"),
              "ab");
    EXPECT_EQ(clean_text("a\u202Eb\u2066c\uFEFF"), "abc");
    EXPECT_EQ(clean_text("a\u2028b"), "a b");
}

TEST(CleanText, ReplacesWhatIsNotUtf8) {
    const std::string bad = "\uFFFD";
    EXPECT_EQ(clean_text("a\xff"
                         "b"),
              "a" + bad + "b");
    EXPECT_EQ(clean_text("\xC0\xAF"), bad + bad) << "overlong";
    EXPECT_EQ(clean_text("\xED\xA0\x80"), bad + bad + bad) << "surrogate";
    EXPECT_EQ(clean_text("\xF4\x90\x80\x80"), bad + bad + bad + bad) << "above U+10FFFF";
    EXPECT_EQ(clean_text("x\xE2\x82"), "x" + bad + bad) << "cut off";
}

TEST(CleanText, NeverExceedsTheLimitAndNeverCutsACharacter) {
    EXPECT_EQ(clean_text("ääää", 5), "ää");
    EXPECT_EQ(clean_text("ab cd", 3), "ab");
    EXPECT_EQ(clean_text("abc", 0), "");
    std::mt19937 random(3);
    for (int i = 0; i < 2000; ++i) {
        std::string raw(random() % 64, '\0');
        for (char& c : raw) c = static_cast<char>(random());
        const auto once = clean_text(raw, 24);
        EXPECT_LE(once.size(), 24U);
        EXPECT_EQ(clean_text(once, 24), once) << "clean text stays as it is";
    }
}

TEST(LastLine, IsTheLastWithVisibleText) {
    EXPECT_EQ(last_line("a\nb\n"), "b");
    EXPECT_EQ(last_line("a\r\n \t\n\x1b\n"), "a");
    EXPECT_EQ(last_line("only"), "only");
    EXPECT_EQ(last_line("\n\n"), "");
    EXPECT_EQ(last_line(""), "");
}

TEST(DisplayUrl, HidesUserInfo) {
    EXPECT_EQ(display_url("https://user:secret@host:8443/x?a=b@c"), "https://host:8443/x?a=b@c");
    EXPECT_EQ(display_url("http://u:p@ss@host/"), "http://host/");
    EXPECT_EQ(display_url("http://host/a@b"), "http://host/a@b");
    EXPECT_EQ(display_url("http://host?x@y"), "http://host?x@y");
    EXPECT_EQ(display_url("user:p@host/x"), "host/x");
}

TEST(UrlHost, IsTheBareHost) {
    EXPECT_EQ(url_host("https://u:p@shop.example:8443/x"), "shop.example");
    EXPECT_EQ(url_host("http://[::1]:80/"), "::1");
    EXPECT_EQ(url_host("shop.example"), "shop.example");
    EXPECT_EQ(url_host(""), "");
}

TEST(DisplayStatuses, AreWrittenAsInTheConfiguration) {
    EXPECT_EQ(display_statuses({{200, 299}, {304, 304}}), "200-299,304");
    EXPECT_EQ(display_statuses({}), "");
}

TEST(ShortDuration, IsShort) {
    EXPECT_EQ(short_duration(5s), "5s");
    EXPECT_EQ(short_duration(1850ms), "1.8s");
    EXPECT_EQ(short_duration(840ms), "840ms");
    EXPECT_EQ(short_duration(90s), "90s");
    EXPECT_EQ(short_duration(0s), "0ms");
}
