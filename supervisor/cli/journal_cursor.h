// JournalCursor: the lines of a unit in systemd's journal that were asked for, oldest first, then
// what comes; as LogCursor is for files. A message of several lines is several entries.
#pragma once

#include "supervisor/logs/log_query.h"
#include "supervisor/systemd/journal.h"

#include <vector>

namespace keepwell::cli {

class JournalCursor {
  public:
    // `journal` says unit and uid, `query` the rest.
    static Result<JournalCursor> open(systemd::JournalQuery journal, const LogQuery& query);
    Result<std::vector<LogEntry>> poll(); // empty: nothing more at present
    int wait_fd() const { return reader_.wait_fd(); }

  private:
    explicit JournalCursor(systemd::JournalReader reader) : reader_(std::move(reader)) {}
    systemd::JournalReader reader_;
};

} // namespace keepwell::cli
