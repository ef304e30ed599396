// JournalLines: what systemd's journal has of a unit since a time, as a stream of lines for a log
// check. Reads files, so off the loop only; keeps nothing open in between.
#pragma once

#include "supervisor/logs/log_scan.h"
#include "supervisor/systemd/journal.h"

namespace keepwell {

class JournalLines final : public LineStream {
  public:
    JournalLines(systemd::JournalQuery query, WallTime from) : query_(std::move(query)) {
        query_.since = from;
        query_.forward = true;
        query_.lines = systemd::kMostLines;
    }
    Result<std::vector<TimedLine>> poll_timed() override;
    void skip() override;

  private:
    systemd::JournalQuery query_;
};

} // namespace keepwell
