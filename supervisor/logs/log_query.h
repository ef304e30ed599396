// LogCursor: the lines of one key that were asked for, oldest first, then what comes.
//
// Times are the line's own, else those of the time index. Nothing throws; memory is bounded by one
// batch (about 1 MiB of text), or by the `last` lines asked for.
#pragma once

#include "supervisor/logs/line_facts.h"
#include "supervisor/logs/log_reader.h"

#include <optional>
#include <string>
#include <vector>

namespace keepwell {

struct LogQuery {
    std::optional<std::size_t> last;      // the last so many of those that match
    std::optional<std::int64_t> since_ms; // unix
    std::optional<LogLevel> level;        // that and worse
    bool unfinished = true;               // a last line without its end counts
};

struct LogEntry {
    std::string text;
    std::optional<std::int64_t> time_ms; // unix
    std::optional<LogLevel> level;       // of a line that begins with a blank: that of its head
};

class LogCursor {
  public:
    static Result<LogCursor> open(const std::string& dir, const std::string& key,
                                  const LogQuery& query);
    // Empty: nothing more at present.
    Result<std::vector<LogEntry>> poll();
    // What has no line end yet, once poll() gave nothing.
    std::optional<LogEntry> rest(); // none if open() has counted it
    // From now on lines without a time of their own were written at this moment.
    void live(bool yes) { live_ = yes; }

  private:
    LogCursor(LogTail tail, LogQuery query) : tail_(std::move(tail)), query_(query) {}
    std::optional<LogEntry> entry_of(TimedLine line);
    Result<std::vector<LogEntry>> all_present();

    LogTail tail_;
    LogQuery query_;
    std::optional<LogLevel> head_; // level of the last line that did not begin with a blank
    std::vector<LogEntry> first_;  // found at open()
    bool live_ = false;
    bool rest_counted_ = false;
};

} // namespace keepwell
