// What somebody missed who had read up to one place of several sources and wants to go on to
// another: the lines between the two, and whether some of them are gone.
//
// Blocks as disks do: for a thread of the pool. Reads at most 4 MiB and keeps at most
// kMostCaughtUp lines; what does not fit is lost, the oldest first.
#pragma once

#include "supervisor/feeds/feed_cursor.h"
#include "supervisor/feeds/log_page.h"

#include <optional>
#include <string>
#include <vector>

namespace keepwell::feeds {

inline constexpr std::size_t kMostCaughtUp = 20'000; // lines

struct CaughtLine {
    std::size_t source = 0; // of the places
    FeedLine line;          // not redacted
    FeedCursor::Place end;  // behind it
};

struct CatchUp {
    std::vector<CaughtLine> lines; // of each source in order, one source after the other
    bool gap = false;
    std::optional<std::uint64_t> lost = 0; // lines; none: not known
    std::vector<std::string> units;        // that have a gap
};

// A source that `from` does not name is read from its time on. The counts of lines in both are
// compared only when `same_count`: they are of one supervisor's life.
CatchUp catch_up(const LogPlaces&, const FeedCursor& from, const FeedCursor& to, bool same_count);

} // namespace keepwell::feeds
