// LogPage: the last lines of one or several sources that match a question, and where the page
// before it begins.
//
// Lines of several sources are merged by time, each source in its own order. Blocks as disks do:
// for a thread of the pool. At most 4 MiB of logs are read and ReadBudget and the lines asked for
// bound the memory. A source that cannot be read is named, the others are shown.
#pragma once

#include "supervisor/feeds/backward_lines.h"
#include "supervisor/feeds/feed_cursor.h"
#include "supervisor/feeds/line_text.h"

#include <string>
#include <vector>

namespace keepwell::feeds {

struct LogPlaces { // what of the machine a question is about
    std::string log_dir;
    std::vector<FeedSource> sources;
    std::vector<std::string> redact;
};

struct LogQuestion {
    std::string asked; // the type as it was asked for: a cursor fits only the same
    std::size_t lines = 50;
    LineFilter filter;
    std::optional<std::int64_t> since_ms, until_ms; // unix
    std::optional<FeedCursor> before;
    std::int64_t now_ms = 0;
};

struct PageLine {
    std::size_t source = 0; // of LogPlaces::sources
    std::optional<std::int64_t> time_ms;
    std::optional<LogLevel> level;
    std::string text; // as it may be shown
};

struct LogPage {
    std::vector<PageLine> lines;      // oldest first
    std::optional<FeedCursor> before; // of the page before; none: there are no older lines
    struct Trouble {
        std::size_t source = 0;
        std::string text; // empty: what was there before the cursor's place is gone
    };
    std::vector<Trouble> troubles;
};

Result<LogPage> read_page(const LogPlaces&, const LogQuestion&);

// {"status":"success","data":{"logs":[…],"lastUpdate"},"cursor":{"before"},"gaps":[…],…}
std::string page_json(const LogPlaces&, const LogPage&, WallTime now);
// One line each: time, unit, text.
std::string page_text(const LogPlaces&, const LogPage&);

} // namespace keepwell::feeds
