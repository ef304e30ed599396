#include "supervisor/feeds/backward_journal.h"

#include <utility>

namespace keepwell::feeds {
namespace {

constexpr std::size_t kPage = 200; // lines

} // namespace

LogLevel level_of_priority(int priority) {
    if (priority <= 3) return LogLevel::Error;
    if (priority == 4) return LogLevel::Warn;
    return priority == 7 ? LogLevel::Debug : LogLevel::Info;
}

BackwardJournal::BackwardJournal(systemd::JournalQuery query, BackwardStart start,
                                 ReadBudget& budget)
    : query_(std::move(query)), budget_(budget) {
    query_.lines = kPage;
    if (start.before) query_.before = place_ = behind_ = start.before->journal;
    if (!start.before && start.until_ms) query_.until.ms = *start.until_ms;
}

Result<BackwardLines::State> BackwardJournal::next() {
    if (page_.empty() && !beginning_) {
        if (!budget_.take(1)) return State::Spent;
        auto read = systemd::read_journal(query_);
        if (!read) return read.error();
        page_ = std::move(read->lines);
        beginning_ = !read->older;
        for (const auto& line : page_) budget_.take(line.text.size());
        if (!page_.empty()) query_.before = page_.front().cursor;
        query_.until = {};
    }
    if (page_.empty()) {
        behind_ = place_;
        return State::Beginning;
    }
    systemd::JournalLine& line = page_.back();
    line_ = {std::move(line.text), line.time.ms, level_of_priority(line.priority), line.time.ms};
    behind_ = std::exchange(place_, std::move(line.cursor));
    page_.pop_back();
    return State::More;
}

} // namespace keepwell::feeds
