#include "feed_support.h"
#include "supervisor/feeds/catch_up.h"
#include "supervisor/feeds/follower.h"

namespace keepwell::feeds {
namespace {

using test::LogFolder;
using test::numbered;

// A follower as the hub has one, and the cursors of its places.
struct Followed {
    Followed(const LogFolder& f, const std::string& key) : folder(f), places(f.places({key})) {
        follower.source = places.sources[0];
        follower.id = source_id(follower.source);
        follower.open(folder.path(), 0, 0);
    }
    FeedCursor now() {
        follower.read({}, 1);
        FeedCursor cursor;
        cursor.places[follower.id] = follower.at;
        return cursor;
    }
    CatchUp missed(const FeedCursor& from, bool same = true) {
        return catch_up(places, from, now(), same);
    }
    const LogFolder& folder;
    LogPlaces places;
    Follower follower;
};

std::vector<std::string> texts(const CatchUp& missed) {
    std::vector<std::string> all;
    for (const auto& line : missed.lines) all.push_back(line.line.text);
    return all;
}

TEST(CatchUp, GivesTheLinesBetweenTwoPlacesOnce) {
    const LogFolder folder;
    folder.lines("web", 0, 10);
    Followed web(folder, "web");
    const FeedCursor from = web.now();
    EXPECT_TRUE(web.missed(from).lines.empty());
    folder.lines("web", 10, 500);
    folder.rotate("web");
    folder.lines("web", 500, 900);
    folder.pack("web", 1);
    const CatchUp missed = web.missed(from);
    EXPECT_EQ(texts(missed), numbered(10, 900));
    EXPECT_FALSE(missed.gap);
    FeedCursor half;
    half.places[web.follower.id] = missed.lines[499].end;
    EXPECT_EQ(texts(web.missed(half)), numbered(510, 900));
}

TEST(CatchUp, SaysHowManyLinesAreGone) {
    const LogFolder folder;
    folder.lines("web", 0, 10);
    Followed web(folder, "web");
    const FeedCursor from = web.now();
    for (int file = 0; file < 4; ++file) {
        folder.lines("web", 10 + file * 100, 110 + file * 100);
        (void)web.now();
        folder.rotate("web");
    }
    folder.lines("web", 410, 450);
    for (const std::uint64_t gone : {1U, 2U, 3U}) folder.remove("web", gone);
    const CatchUp missed = web.missed(from);
    EXPECT_EQ(texts(missed), numbered(310, 450));
    EXPECT_TRUE(missed.gap);
    EXPECT_EQ(missed.lost, 300U);
    const CatchUp later = web.missed(from, false);
    EXPECT_TRUE(later.gap);
    EXPECT_FALSE(later.lost) << "another supervisor has counted";
}

TEST(CatchUp, FromAPlaceThatIsNotKnownBeginsWithItsTime) {
    const LogFolder folder;
    folder.write("web", "2026-01-02T03:00:00Z a\n");
    Followed web(folder, "web");
    folder.write("web", "2026-01-02T04:00:00Z b\n2026-01-02T05:00:00Z c\n");
    FeedCursor from;
    from.time_ms = *parse_date("2026-01-02T04:00:00Z");
    EXPECT_EQ(texts(web.missed(from)), std::vector<std::string>{"2026-01-02T05:00:00Z c"});
}

TEST(CatchUp, AFileInThePlaceOfAnotherIsReadWholeWithAGap) {
    const LogFolder folder;
    folder.lines("web", 0, 10);
    Followed web(folder, "web");
    const FeedCursor from = web.now();
    folder.lines("tmp", 0, 5, "other");
    std::filesystem::rename(log_path(folder.path(), "tmp"), log_path(folder.path(), "web"));
    const CatchUp missed = web.missed(from, false);
    EXPECT_EQ(texts(missed), numbered(0, 5, "other"));
    EXPECT_TRUE(missed.gap);
}

} // namespace
} // namespace keepwell::feeds
