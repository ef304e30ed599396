#include "supervisor/logs/pattern.h"

#include <chrono>
#include <gtest/gtest.h>

namespace keepwell {
namespace {

TEST(Pattern, TakesLinearTimeWhateverTheExpression) {
    const auto evil = Pattern::compile("(x+x+)+y");
    ASSERT_TRUE(evil);
    const std::string text(200'000, 'x');
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(evil->found_in(text));
    EXPECT_TRUE(evil->found_in(text + "y"));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(Pattern, SaysWhatIsWrong) {
    for (const char* bad : {"(", "[", "a{2000}", "(?=x)", "(.)\\1", "*"}) {
        const auto pattern = Pattern::compile(bad);
        ASSERT_FALSE(pattern) << bad;
        EXPECT_FALSE(pattern.error().message.empty()) << bad;
    }
    EXPECT_FALSE(Pattern::compile(std::string(kLongestPattern + 1, 'a')));
    EXPECT_TRUE(Pattern::compile(std::string(kLongestPattern, 'a')));
}

TEST(Redactor, HidesEveryMatchOfEveryPattern) {
    const auto redactor = Redactor::compile({"(?i)password=\\S+", "\\b\\d{16}\\b"});
    ASSERT_TRUE(redactor);
    EXPECT_EQ(redactor->apply("user=a Password=hunter2 card 1234567812345678, password=x"),
              "user=a [redacted] card [redacted], [redacted]");
    EXPECT_EQ(redactor->apply("nothing to hide"), "nothing to hide");
    EXPECT_TRUE(Redactor().empty());
    EXPECT_EQ(Redactor().apply("password=x"), "password=x");
}

TEST(Redactor, IsNotFooledByBytesThatAreNoText) {
    const auto redactor = Redactor::compile({"token=.*"});
    ASSERT_TRUE(redactor);
    const std::string secret("a token=se\xff\xfe\x80"
                             "cret",
                             16);
    EXPECT_EQ(redactor->apply(secret), "a [redacted]");
    EXPECT_EQ(redactor->apply(std::string("token=a\0b", 9)), "[redacted]");
    const auto umlaut = Redactor::compile({"schl\xc3\xbcssel=\\w+"});
    ASSERT_TRUE(umlaut);
    EXPECT_EQ(umlaut->apply("schl\xc3\xbcssel=abc"), "[redacted]");
}

} // namespace
} // namespace keepwell
