#include "supervisor/status/json_writer.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <random>

using namespace keepwell;
using nlohmann::json;

namespace {

template <class T>
std::string written(const T& value) {
    std::string out;
    JsonWriter(out).value(value);
    return out;
}

TEST(JsonWriter, CommasAndNestingComeByThemselves) {
    std::string out;
    JsonWriter w(out);
    w.begin_object().member("a", 1).key("b").begin_array().value(true).null().end_array();
    w.key("c").begin_object().end_object().member("d", "x").raw_member("e", "[1,2]").end_object();
    EXPECT_EQ(out, R"({"a":1,"b":[true,null],"c":{},"d":"x","e":[1,2]})");
}

TEST(JsonWriter, ControlCharactersQuotesAndBackslashesAreEscaped) {
    EXPECT_EQ(json_quote(std::string_view("a\0b\n\t\x1b\"\\\x7f", 9)),
              R"("a\u0000b\n\t\u001b\"\\\u007f")");
}

TEST(JsonWriter, WellFormedUtf8StaysAsItIs) {
    const std::string text = "ä €  \xF0\x9F\x99\x82 \xF4\x8F\xBF\xBF";
    EXPECT_EQ(json_quote(text), "\"" + text + "\"");
}

TEST(JsonWriter, EachByteThatIsNoUtf8BecomesTheReplacementCharacter) {
    const std::string r(kReplacementCharacter);
    EXPECT_EQ(json_quote("a\xFFz"), "\"a" + r + "z\"");
    EXPECT_EQ(json_quote("\xC0\xAF"), "\"" + r + r + "\"");                 // overlong
    EXPECT_EQ(json_quote("\xED\xA0\x80"), "\"" + r + r + r + "\"");         // surrogate
    EXPECT_EQ(json_quote("\xF4\x90\x80\x80"), "\"" + r + r + r + r + "\""); // too large
    EXPECT_EQ(json_quote("\xE2\x82"), "\"" + r + r + "\"");                 // cut short
}

TEST(JsonWriter, RandomBytesAlwaysGiveStringsThatParse) {
    std::mt19937 random(4711);
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(random() % 40, '\0');
        for (char& c : bytes) c = static_cast<char>(random() & 0xFFU);
        EXPECT_TRUE(json::accept(json_quote(bytes))) << round;
    }
}

TEST(JsonWriter, WhatIsNoNumberBecomesNull) {
    EXPECT_EQ(written(std::nan("")), "null");
    EXPECT_EQ(written(std::numeric_limits<double>::infinity()), "null");
    EXPECT_EQ(written(-std::numeric_limits<double>::infinity()), "null");
    EXPECT_EQ(written(std::optional<int>()), "null");
}

TEST(JsonWriter, NumbersReadBackAsTheSameNumber) {
    for (const double d : {0.1, -1.5, 1e-7, 1e300, 5e-324, 123456789.125, 0.56, 1e15, 1e21})
        EXPECT_EQ(json::parse(written(d)).get<double>(), d);
    EXPECT_EQ(written(45.0), "45");
    EXPECT_EQ(written(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    EXPECT_EQ(written(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
}

TEST(JsonWriter, TimesAreUtcWithMillisecondsAndNeverIsNull) {
    EXPECT_EQ(written(WallTime{1'761'566'400'000}), "\"2025-10-27T12:00:00.000Z\"");
    EXPECT_EQ(written(WallTime{951'782'399'999}), "\"2000-02-28T23:59:59.999Z\"");
    EXPECT_EQ(written(WallTime{-1}), "\"1969-12-31T23:59:59.999Z\"");
    EXPECT_EQ(written(WallTime{}), "null");
    EXPECT_EQ(rfc3339(WallTime{std::numeric_limits<std::int64_t>::max()}),
              "9999-12-31T23:59:59.999Z");
}

} // namespace
