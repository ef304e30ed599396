// BackwardJournal: BackwardLines of a systemd unit, from the journal.
#pragma once

#include "supervisor/feeds/backward_lines.h"

namespace keepwell::feeds {

LogLevel level_of_priority(int priority); // as syslog(3) has them

class BackwardJournal final : public BackwardLines {
  public:
    BackwardJournal(systemd::JournalQuery query, BackwardStart start, ReadBudget& budget);
    Result<State> next() override;
    FeedLine& line() override { return line_; }
    FeedPosition place(bool used) const override { return {0, 0, 0, used ? place_ : behind_}; }
    bool gap() const override { return false; }

  private:
    systemd::JournalQuery query_;
    ReadBudget& budget_;
    std::vector<systemd::JournalLine> page_; // not handed out yet, oldest first
    FeedLine line_;
    std::string place_, behind_; // cursors: of line(), and of the one handed out before it
    bool beginning_ = false;
};

} // namespace keepwell::feeds
