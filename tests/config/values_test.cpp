#include "supervisor/config/values.h"

#include "supervisor/config/suggest.h"

#include <gtest/gtest.h>

namespace keepwell::config {
namespace {

using namespace std::chrono_literals;

TEST(Durations, EveryUnitAndTheirSums) {
    const std::pair<const char*, Duration> table[] = {
        {"500ms", 500ms}, {"10s", 10s},       {"5m", 5min},     {"1h", 1h},
        {"7d", 24h * 7},  {"2w", 24h * 14},   {"1.5s", 1500ms}, {"0s", 0s},
        {"1h30m", 90min}, {"1m1ms", 60001ms}, {"250us", 250us}, {"7ns", Duration(7)}};
    for (const auto& [text, wanted] : table) {
        const auto got = parse_duration(text);
        ASSERT_TRUE(got) << text;
        EXPECT_EQ(*got, wanted) << text;
    }
}

TEST(Durations, WhatIsNoneSaysHowOneLooks) {
    for (const char* text : {"", "10", "s", "10 s", "10 parsecs", "1.s", ".5s", "1..5s", "10S",
                             "+1s", "1e3s", "10s ", "1h-5m", "nan", "infs"}) {
        const auto got = parse_duration(text);
        ASSERT_FALSE(got) << text;
        EXPECT_EQ(got.error().message, quote(text) + " is not a duration (like \"10s\")");
    }
    EXPECT_EQ(parse_duration("-5s").error().message,
              "\"-5s\" is negative (a duration is like \"10s\")");
    EXPECT_EQ(parse_duration("101w999999999h").error().message,
              "\"101w999999999h\" is longer than 100 years");
}

TEST(Sizes, PowersOf1024) {
    const std::pair<const char*, std::uint64_t> table[] = {
        {"0", 0},           {"4096", 4096},       {"100B", 100},  {"64K", 65536},
        {"64M", 67108864},  {"1G", 1073741824},   {"1.5K", 1536}, {"16MiB", 16777216},
        {"16MB", 16777216}, {"2T", 2199023255552}};
    for (const auto& [text, wanted] : table) {
        const auto got = parse_size(text);
        ASSERT_TRUE(got) << text;
        EXPECT_EQ(*got, wanted) << text;
    }
    for (const char* text : {"", "M", "64 M", "64m", "64Q", "64iB", "64MBB"}) {
        ASSERT_FALSE(parse_size(text)) << text;
        EXPECT_EQ(parse_size(text).error().message, quote(text) + " is not a size (like \"64M\")");
    }
    EXPECT_EQ(parse_size("-1M").error().message, "\"-1M\" is negative (a size is like \"64M\")");
    EXPECT_FALSE(parse_size("99999999P"));
}

TEST(StatusSets, RangesAndSingleCodes) {
    const auto got = parse_status_set("200-299, 404,503");
    ASSERT_TRUE(got);
    EXPECT_EQ(*got, (std::vector<StatusRange>{{200, 299}, {404, 404}, {503, 503}}));
    for (const char* text :
         {"", "200-", "-200", "99", "600", "299-200", "2xx", "200,,201", "200-299-300"}) {
        EXPECT_FALSE(parse_status_set(text)) << text;
    }
}

TEST(Umasks, AreOctal) {
    EXPECT_EQ(*parse_umask("022"), 022U);
    EXPECT_EQ(*parse_umask("0o77"), 077U);
    EXPECT_EQ(*parse_umask("0"), 0U);
    for (const char* text : {"", "8", "1000", "-1", "0x1", "rwx"})
        EXPECT_FALSE(parse_umask(text)) << text;
}

TEST(Urls, NeedSchemeHostAndAUsablePort) {
    for (const char* url : {"http://a", "https://a/b?c", "http://127.0.0.1:80/",
                            "http://[::1]:80/x", "http://[::1]/", "http://u:p@h:1/"}) {
        EXPECT_TRUE(check_http_url(url)) << url;
    }
    for (const char* url : {"", "a", "ftp://a", "http://", "http:///x", "http://:80/", "http://a:0",
                            "http://a:65536", "http://a:x/", "http://a b/", "http://a/\n"}) {
        EXPECT_FALSE(check_http_url(url)) << url;
    }
}

TEST(Listen, HostAndPort) {
    for (const char* text : {"127.0.0.1:5001", "[::1]:5001", "localhost:0"}) {
        EXPECT_TRUE(check_host_port(text)) << text;
    }
    for (const char* text : {"", "5001", ":5001", "::1:5001", "a:65536", "a:", "a:b", "a/b:1"}) {
        EXPECT_FALSE(check_host_port(text)) << text;
    }
}

TEST(UnitKeys, FollowTheDocumentedPattern) {
    for (const char* key : {"a", "0", "web", "shop:production", "w@1", "a.b_c-d"}) {
        EXPECT_TRUE(is_unit_key(key)) << key;
    }
    EXPECT_TRUE(is_unit_key(std::string(63, 'a')));
    EXPECT_FALSE(is_unit_key(std::string(64, 'a')));
    for (const char* key : {"", ".", "..", "-a", "_a", "Web", "a b", "a/b", "ä", "@1"}) {
        EXPECT_FALSE(is_unit_key(key)) << key;
    }
}

TEST(DidYouMean, CountsSwapsAsOneStep) {
    EXPECT_EQ(edit_distance("redsi", "redis"), 1U);
    EXPECT_EQ(edit_distance("comand", "command"), 1U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(DidYouMean, SaysNothingWhenNothingIsNear) {
    const std::vector<std::string> known = {"command", "directory", "user"};
    EXPECT_EQ(did_you_mean("comand", known), " (did you mean command?)");
    EXPECT_EQ(did_you_mean("dirctory", known), " (did you mean directory?)");
    EXPECT_EQ(did_you_mean("xyz", known), "");
    EXPECT_EQ(did_you_mean(std::string(100'000, 'x'), known), "");
}

} // namespace
} // namespace keepwell::config
