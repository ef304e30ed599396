// Follower: one source as the hub follows it, and what one turn of reading gives. The pool reads
// while the loop leaves it alone.
#pragma once

#include "supervisor/feeds/feed_cursor.h"
#include "supervisor/feeds/forward_lines.h"
#include "supervisor/feeds/line_text.h"

#include <memory>
#include <string>
#include <vector>

namespace keepwell::feeds {

struct ReadLine {
    std::string json;  // as append_line_json() has it
    std::string shown; // what filters look at
    std::optional<LogLevel> level;
    FeedCursor::Place end;
};

struct Follower {
    FeedSource source;
    std::uint32_t id = 0;
    std::unique_ptr<ForwardLines> lines; // none: not opened yet
    FeedCursor::Place at;                // read up to there
    FeedCursor::Place before;            // and up to there before the last turn
    std::vector<ReadLine> fresh;         // what that turn gave
    bool lost = false;                   // files went unread in it
    std::uint64_t skipped = 0;           // lines before fresh: there were more than kMostFresh
    bool wanted = true;                  // somebody reads them; else they are only counted
    bool more = false;                   // there was more than one turn reads
    std::int64_t read_ms = 0;            // when it last had lines
    std::uint64_t turn = 0;              // the last one that read it

    std::optional<std::int64_t> since_ms; // what came later is read from its beginning

    void open(const std::string& log_dir, std::uint64_t epoch, std::int64_t now_ms);
    std::size_t read(const Redactor&, std::int64_t now_ms); // blocks; gives the bytes of text
    void clear_fresh();                                     // what it gave was told
};

inline constexpr std::size_t kMostFresh = 4000; // lines of one turn; of more the oldest are lost

} // namespace keepwell::feeds
