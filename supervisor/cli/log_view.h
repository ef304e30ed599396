// LogView: prints the lines of several logs as one story, merged by time: files, and systemd's
// journal.
//
// Within one log the order is that of the file, whatever the times say. A line without a time comes
// right after the one before it in its log.
#pragma once

#include "supervisor/cli/context.h"
#include "supervisor/cli/journal_cursor.h"
#include "supervisor/logs/log_query.h"
#include "supervisor/logs/pattern.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace keepwell::cli {

class LogView {
  public:
    enum class Kind { Stdout, Stderr, File, Journal };
    struct Source {
        std::string unit;
        Kind kind = Kind::Stdout;
        std::string log;               // names the files (log_names.h)
        systemd::JournalQuery journal; // unit and uid
        bool apart = false;            // the unit has several, and they are told apart
    };
    LogView(Context& context, Redactor redactor, bool several)
        : context_(context), redactor_(std::move(redactor)), several_(several) {}

    // What cannot be read is told and left out; an error when nothing can.
    Status open(const std::string& directory, const std::vector<Source>& sources,
                const LogQuery& query);
    bool whole() const { return whole_; } // nothing was left out
    Status show_present();                // all there is, up to this moment
    Status show_new(); // what came since; says the first problem, having shown the rest
    std::vector<int> wait_fds() const; // readable when a journal may have more; stay the view's

  private:
    using Cursor = std::variant<LogCursor, JournalCursor>;
    struct Stream {
        Source source;
        Cursor cursor;
        std::vector<LogEntry> batch;
        std::size_t next = 0;
        std::int64_t time = 0; // of the last line
    };
    Result<Cursor> cursor_of(const std::string& directory, const Source&, const LogQuery&) const;
    Status refill(Stream& stream);
    Status merge();
    void print(const Source& source, const LogEntry& entry);

    Context& context_;
    Redactor redactor_;
    bool several_;
    bool whole_ = true;
    std::vector<Stream> streams_;
};

} // namespace keepwell::cli
