// BackwardFile: BackwardLines of a log file and of those that it was before its rotations.
#pragma once

#include "supervisor/feeds/backward_lines.h"
#include "supervisor/logs/log_files.h"
#include "supervisor/logs/time_index.h"

#include <vector>

namespace keepwell::feeds {

class BackwardFile final : public BackwardLines {
  public:
    BackwardFile(std::string dir, std::string name, BackwardStart start, ReadBudget& budget)
        : dir_(std::move(dir)), name_(std::move(name)), start_(std::move(start)), budget_(budget) {}

    Result<State> next() override;
    FeedLine& line() override { return lines_.back().line; }
    FeedPosition place(bool used) const override;
    bool gap() const override { return gap_; }

  private:
    struct Line {
        FeedLine line;
        std::uint64_t begin = 0;
    };
    Status open();
    Status open_end();
    Status open_at(const FeedPosition&);
    Result<bool> open_older(); // false: there is none
    void take(OpenLog, std::uint64_t sequence, std::uint64_t end);
    void pass_newer();
    void leave_line();
    std::uint64_t line_start(std::uint64_t at);
    Result<State> load();
    Result<State> load_endless(std::uint64_t from);
    bool read(std::uint64_t begin, std::uint64_t end, std::vector<char>& to);
    void split(std::uint64_t begin, std::string_view text);
    void add(std::uint64_t begin, std::string_view text);

    std::string dir_, name_;
    BackwardStart start_;
    ReadBudget& budget_;
    OpenLog log_;
    TimeIndex times_;
    std::uint64_t sequence_ = 0; // of log_
    std::uint64_t end_ = 0;      // what is before it was not looked at yet
    std::vector<std::uint64_t> older_;
    std::vector<Line> lines_; // read and not handed out, oldest first
    std::optional<LogLevel> head_;
    std::uint64_t block_ = 0;
    bool opened_ = false, handed_out_ = false, gap_ = false;
};

} // namespace keepwell::feeds
