#include "supervisor/api/request_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace keepwell;
using namespace keepwell::api;
using namespace std::chrono_literals;
using testing::HasSubstr;

namespace {

const std::vector<std::string_view> kAll{"verb", "names", "signal", "for", "check", "dry_run"};

std::string error_of(std::string_view text) {
    const auto body = parse_body(text, kAll);
    return body ? "" : body.error().message;
}

TEST(RequestBody, NothingAndAnEmptyObjectAreTheSame) {
    EXPECT_TRUE(parse_body("", kAll));
    EXPECT_TRUE(parse_body("{}", {}));
}

TEST(RequestBody, EveryKeyIsRead) {
    const auto body = parse_body(R"({"verb":"pause","names":["web","GROUP:*"],"signal":"HUP",
        "for":"1h30m","check":"http","dry_run":true})",
                                 kAll);
    ASSERT_TRUE(body) << body.error().message;
    EXPECT_EQ(body->verb, Verb::Pause);
    EXPECT_EQ(body->names, (std::vector<std::string>{"web", "GROUP:*"}));
    EXPECT_EQ(body->signal, 1);
    EXPECT_EQ(body->pause_for, 90min);
    EXPECT_EQ(body->check, "http");
    EXPECT_TRUE(body->dry_run);
    EXPECT_EQ(parse_body(R"({"signal":15})", kAll)->signal, 15);
}

TEST(RequestBody, NullIsAsIfItWereNotThere) {
    const auto body = parse_body(R"({"for":null,"check":null})", kAll);
    ASSERT_TRUE(body);
    EXPECT_FALSE(body->pause_for);
}

TEST(RequestBody, ErrorsSayWhatWasWrong) {
    EXPECT_THAT(error_of("{\"a\":"), HasSubstr("cannot read the request body: it is not valid JSON "
                                               "at byte"));
    EXPECT_THAT(error_of("[]"), HasSubstr("must be a JSON object"));
    EXPECT_THAT(error_of(R"({"nmaes":[]})"), HasSubstr("unknown key \"nmaes\""));
    EXPECT_THAT(error_of(R"({"names":"web"})"), HasSubstr("\"names\" must be a list of names"));
    EXPECT_THAT(error_of(R"({"names":[1]})"), HasSubstr("\"names\" must be a list of names"));
    EXPECT_THAT(error_of(R"({"signal":"NOPE"})"), HasSubstr("\"signal\" must be"));
    EXPECT_THAT(error_of(R"({"signal":-9})"), HasSubstr("\"signal\" must be"));
    EXPECT_THAT(error_of(R"({"signal":1e99})"), HasSubstr("\"signal\" must be"));
    EXPECT_THAT(error_of(R"({"for":"10 parsecs"})"), HasSubstr("is not a duration"));
    EXPECT_THAT(error_of(R"({"for":"0s"})"), HasSubstr("\"for\" must be"));
    EXPECT_THAT(error_of(R"({"for":30})"), HasSubstr("\"for\" must be"));
    EXPECT_THAT(error_of(R"({"verb":"explode"})"), HasSubstr("\"verb\" must be start, stop"));
    EXPECT_THAT(error_of(R"({"dry_run":"yes"})"), HasSubstr("\"dry_run\" must be true or false"));
    EXPECT_THAT(error_of("{\"check\":\"\xFF\"}"), HasSubstr("not valid JSON"));
}

TEST(RequestBody, DeepNestingAndLongNumbersAreHarmless) {
    EXPECT_THAT(error_of(std::string(60'000, '[')), HasSubstr("not valid JSON"));
    EXPECT_THAT(error_of(std::string(30'000, '[') + std::string(30'000, ']')),
                HasSubstr("must be a JSON object"));
    EXPECT_NE(error_of("{\"signal\":" + std::string(50'000, '9') + "}"), "");
}

TEST(RequestBody, AKeyOfAnotherRouteIsUnknown) {
    EXPECT_FALSE(parse_body(R"({"for":"1m"})", {"signal"}));
}

TEST(RequestBody, EmptyEventListsAreRecognised) {
    EXPECT_TRUE(has_no_events(R"({"events": [], "last": 7})"));
    EXPECT_FALSE(has_no_events(R"({"events":[{}],"last":8})"));
}

} // namespace
