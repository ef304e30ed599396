// LogView: prints the lines of several logs as one story, merged by time.
//
// Within one log the order is that of the file, whatever the times say. A line without a time comes
// right after the one before it in its log.
#pragma once

#include "supervisor/cli/context.h"
#include "supervisor/logs/log_query.h"
#include "supervisor/logs/pattern.h"

#include <cstdint>
#include <string>
#include <vector>

namespace keepwell::cli {

class LogView {
  public:
    struct Source {
        std::string unit;
        std::string log;     // names the files
        bool errors = false; // it is the unit's stderr
        bool apart = false;  // the unit has a stderr of its own
    };
    LogView(Context& context, Redactor redactor, bool several)
        : context_(context), redactor_(std::move(redactor)), several_(several) {}

    Status open(const std::string& directory, const std::vector<Source>& sources,
                const LogQuery& query);
    Status show_present(); // all there is, up to this moment
    Status show_new();     // what came since; says the first problem, having shown the rest

  private:
    struct Stream {
        Source source;
        LogCursor cursor;
        std::vector<LogEntry> batch;
        std::size_t next = 0;
        std::int64_t time = 0; // of the last line
    };
    Status refill(Stream& stream);
    Status merge();
    void print(const Source& source, const LogEntry& entry);

    Context& context_;
    Redactor redactor_;
    bool several_;
    std::vector<Stream> streams_;
};

} // namespace keepwell::cli
