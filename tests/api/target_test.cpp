#include "supervisor/api/target.h"

#include <gtest/gtest.h>

using namespace keepwell::api;
using namespace std::string_literals;

namespace {

using Segments = std::vector<std::string>;

TEST(Target, PathAndQueryAreTakenApart) {
    const auto t = parse_target("/api/events?since=5&limit=10&flag&x=a+b%26");
    ASSERT_TRUE(t);
    EXPECT_EQ(t->segments, (Segments{"api", "events"}));
    EXPECT_EQ(t->query.at("since"), "5");
    EXPECT_EQ(t->query.at("flag"), "");
    EXPECT_EQ(t->query.at("x"), "a b&");
}

TEST(Target, DecodingHappensOnceAndAfterTheSplit) {
    EXPECT_EQ(parse_target("/why/a%2Fb")->segments, (Segments{"why", "a/b"}));
    EXPECT_EQ(parse_target("/why/a%252Fb")->segments, (Segments{"why", "a%2Fb"}));
    EXPECT_EQ(parse_target("/why/a%00b")->segments, (Segments{"why", "a\0b"s}));
    EXPECT_EQ(parse_target("/why/web%401%20x+y")->segments, (Segments{"why", "web@1 x+y"}));
    EXPECT_EQ(parse_target("/a%3Fb")->segments, (Segments{"a?b"}));
}

TEST(Target, EmptySegmentsStay) {
    EXPECT_EQ(parse_target("//api/")->segments, (Segments{"", "api", ""}));
    EXPECT_EQ(parse_target("/")->segments, (Segments{""}));
}

TEST(Target, BrokenEscapesAndForeignFormsAreRefused) {
    for (const char* raw : {"", "api", "*", "http://x/api", "/%", "/%4", "/%zz", "/a?b=%g0"})
        EXPECT_FALSE(parse_target(raw)) << raw;
}

TEST(Target, NamesHoldNoSlashNoNulAndNoWayUp) {
    EXPECT_TRUE(is_name("web@1"));
    EXPECT_TRUE(is_name("Flask Web"));
    EXPECT_TRUE(is_name("shop:*"));
    for (const auto& name : {""s, ".."s, "a/b"s, "../x"s, "a\0b"s, "a..b"s})
        EXPECT_FALSE(is_name(name)) << name;
}

} // namespace
