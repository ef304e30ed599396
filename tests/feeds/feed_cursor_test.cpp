#include "supervisor/feeds/feed_cursor.h"

#include <gtest/gtest.h>

#include <cctype>

namespace keepwell::feeds {
namespace {

FeedCursor sample() {
    FeedCursor cursor;
    cursor.asked = hash_of("all");
    cursor.time_ms = 1'764'500'000'123;
    cursor.places[7] = {{12, 345'678, 1U << 20, {}}, 99};
    cursor.places[0xFFFFFFFFU] = {{0, 0, 0, "s=abc;i=1"}, std::uint64_t{1} << 40};
    return cursor;
}

TEST(FeedCursor, ComesBackAsItWas) {
    const auto back = decode_cursor(encode(sample()));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->asked, hash_of("all"));
    EXPECT_EQ(back->time_ms, 1'764'500'000'123);
    ASSERT_EQ(back->places.size(), 2U);
    EXPECT_EQ(back->places.at(7).at, (FeedPosition{12, 345'678, 1U << 20, {}}));
    EXPECT_EQ(back->places.at(7).lines, 99U);
    EXPECT_EQ(back->places.at(0xFFFFFFFFU).at.journal, "s=abc;i=1");
}

TEST(FeedCursor, NeedsNoEscapeInAQuery) {
    for (const char c : encode(sample()))
        EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_');
}

TEST(FeedCursor, ThatWasChangedOrCutIsNone) {
    const std::string good = encode(sample());
    for (std::size_t i = 0; i + 1 < good.size(); ++i) {
        std::string bad = good;
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(decode_cursor(bad)) << i;
        EXPECT_FALSE(decode_cursor(good.substr(0, i))) << i;
    }
    EXPECT_FALSE(decode_cursor(good + "AAAA"));
    EXPECT_FALSE(decode_cursor("a b"));
    EXPECT_FALSE(decode_cursor(std::string(100'000, 'A')));
}

TEST(FeedCursor, OfATimeThatNoClockShowsIsNone) {
    FeedCursor cursor = sample();
    cursor.time_ms = 253'402'300'799'999;
    EXPECT_TRUE(decode_cursor(encode(cursor)));
    for (const std::int64_t time : {std::int64_t{253'402'300'800'000}, std::int64_t{-1}}) {
        cursor.time_ms = time;
        EXPECT_FALSE(decode_cursor(encode(cursor))) << time;
    }
}

TEST(FeedCursor, KnowsASourceByItsUnitKindAndName) {
    const FeedSource file{FeedSource::Kind::File, "web", "web", "stdout", {}};
    const FeedSource errors{FeedSource::Kind::File, "web", "web.err", "stderr", {}};
    const FeedSource journal{FeedSource::Kind::Journal, "web", "web", "journal", {}};
    EXPECT_NE(source_id(file), source_id(errors));
    EXPECT_NE(source_id(file), source_id(journal));
    EXPECT_EQ(source_id(file), source_id(FeedSource{file}));
}

} // namespace
} // namespace keepwell::feeds
