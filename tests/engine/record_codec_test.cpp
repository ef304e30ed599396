#include "supervisor/engine/record_codec.h"

#include <gtest/gtest.h>
#include <random>

using namespace keepwell;

namespace {

UnitSpec spec_with(std::initializer_list<const char*> ids) {
    UnitSpec s;
    s.key = "web";
    for (const char* id : ids) {
        CheckSpec c;
        c.id = id;
        s.checks.push_back(c);
    }
    return s;
}

Instant at(int seconds) { return Instant(std::chrono::seconds(seconds)); }

UnitRecord full_record(const UnitSpec& spec) {
    UnitRecord r;
    r.state = State::Backoff;
    r.desired = Desired::Running;
    r.health = Verdict::Down;
    r.reason.kind = ReasonKind::Exited;
    r.reason.status = ExitStatus{true, 3, 0, false, false};
    r.generation = 7;
    r.state_since = at(10);
    r.health_since = at(11);
    r.started_at = at(5);
    r.last_exit = ExitStatus{true, 0, 9, true, false};
    r.last_exit_at = at(12);
    r.kills_sent = 2;
    r.checks.resize(spec.checks.size());
    r.checks[0].failures = 2;
    r.checks[0].window = 0b1011;
    r.checks[0].window_count = 4;
    r.checks[0].tripped = true;
    r.checks[1].passed = true;
    r.checks[1].successes = 5;
    r.deadline(TimerKind::Retry) = at(20);
    r.streak = 3;
    r.transient_streak = 1;
    r.restarts = {at(1), at(2), at(3)};
    r.budget_spent = true;
    r.current_delay = 8s;
    r.restarts_total = 41;
    r.incident_since = at(9);
    r.incident_attempts = 2;
    r.step_at = at(8);
    r.checks[0].step_wait = 3;
    r.paused = true;
    return r;
}

} // namespace

TEST(RecordCodec, EverythingThatMustSurviveComesBack) {
    const UnitSpec spec = spec_with({"http", "tcp"});
    const UnitRecord r = full_record(spec);
    const auto back = decode_record(encode_record(r, spec, 900), spec);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, r);
}

TEST(RecordCodec, CountersFollowTheirChecksIdWhenTheConfigurationChanged) {
    const UnitSpec before = spec_with({"http", "tcp"});
    const UnitSpec after = spec_with({"tcp", "disk", "http"});
    const auto back = decode_record(encode_record(full_record(before), before, 900), after);
    ASSERT_TRUE(back);
    ASSERT_EQ(back->checks.size(), 3U);
    EXPECT_EQ(back->checks[0].successes, 5U);
    EXPECT_EQ(back->checks[1], CheckCounter{});
    EXPECT_EQ(back->checks[2].failures, 2U);
}

TEST(RecordCodec, TooManyRestartTimesLoseTheOldest) {
    const UnitSpec spec = spec_with({"http", "tcp"});
    UnitRecord r = full_record(spec);
    r.restarts.clear();
    for (int i = 0; i < 1000; ++i) r.restarts.push_back(at(i));
    const std::string bytes = encode_record(r, spec, 900);
    EXPECT_LE(bytes.size(), 900U);
    const auto back = decode_record(bytes, spec);
    ASSERT_TRUE(back);
    ASSERT_FALSE(back->restarts.empty());
    EXPECT_EQ(back->restarts.back(), at(999));
}

TEST(RecordCodec, UnknownTagsAreSkipped) {
    const UnitSpec spec = spec_with({"http", "tcp"});
    const std::string future("\xF0\x03\x00xyz", 6);
    const auto back = decode_record(future + encode_record(full_record(spec), spec, 900), spec);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->generation, 7U);
}

TEST(RecordCodec, AnyBytesAreARecordOrNone) {
    const UnitSpec spec = spec_with({"http", "tcp"});
    std::mt19937 random(42);
    const std::string good = encode_record(full_record(spec), spec, 900);
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes = good.substr(0, random() % (good.size() + 1));
        for (int k = 0; k < 3 && !bytes.empty(); ++k)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        if (const auto r = decode_record(bytes, spec)) {
            EXPECT_LT(static_cast<int>(r->state), kStateCount);
            EXPECT_EQ(r->checks.size(), 2U);
        }
    }
}

TEST(RecordCodec, Crc32cIsTheOneOfRfc3720) { EXPECT_EQ(crc32c("123456789"), 0xE3069283U); }
