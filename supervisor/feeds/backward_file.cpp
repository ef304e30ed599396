#include "supervisor/feeds/backward_file.h"

#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <sys/stat.h>

namespace keepwell::feeds {
namespace {

constexpr std::uint64_t kFirstBlock = 16U << 10;
constexpr std::uint64_t kBlock = 64U << 10;
constexpr std::uint64_t kLargestBlock = 256U << 10;
constexpr std::int64_t kIndexSlackMs = 2000; // a line's own time is a little before it was written

// Behind the first line of `text` that does not go on with an earlier one.
std::optional<std::size_t> first_head(std::string_view text, std::size_t at) {
    while (at < text.size() && continues_a_line(text.substr(at))) {
        const auto end = text.find('\n', at);
        if (end == std::string_view::npos) return std::nullopt;
        at = end + 1;
    }
    return at < text.size() ? std::optional(at) : std::nullopt;
}

} // namespace

Result<BackwardLines::State> BackwardFile::next() {
    if (!opened_) {
        if (const Status status = open(); !status) return status.error();
        opened_ = true;
    }
    if (handed_out_) {
        end_ = lines_.back().begin;
        lines_.pop_back();
        handed_out_ = false;
    }
    if (lines_.empty()) {
        auto loaded = load();
        if (!loaded || *loaded != State::More) return loaded;
    }
    handed_out_ = true;
    return State::More;
}

FeedPosition BackwardFile::place(bool used) const {
    const std::uint64_t offset = used && handed_out_ ? lines_.back().begin : end_;
    return {sequence_, log_.exists() ? log_.info.st_ino : 0, offset, {}};
}

Status BackwardFile::open() {
    const Status opened = start_.before ? open_at(*start_.before) : open_end();
    if (opened && !start_.before && start_.until_ms) pass_newer();
    return opened;
}

Status BackwardFile::open_end() {
    // In this order: what is rotated in between is then met twice rather than not at all.
    auto newest = open_log(log_path(dir_, name_));
    if (!newest) return newest.error();
    older_ = rotated_sequences(dir_, name_);
    std::uint64_t sequence = older_.empty() ? 1 : older_.back() + 1;
    if (newest->exists() && !older_.empty()) {
        const auto rotated = open_rotated_log(dir_, name_, older_.back());
        if (rotated && rotated.value().exists() &&
            rotated.value().info.st_ino == newest->info.st_ino) {
            sequence = older_.back();
            older_.pop_back();
        }
    }
    if (newest->exists()) {
        const auto size = static_cast<std::uint64_t>(newest->info.st_size);
        take(std::move(*newest), sequence, size);
        return Done{};
    }
    sequence_ = sequence; // nothing yet, or just rotated
    const auto older = open_older();
    return older ? Status(Done{}) : Status(older.error());
}

Status BackwardFile::open_at(const FeedPosition& at) {
    older_ = rotated_sequences(dir_, name_);
    std::erase_if(older_, [&](std::uint64_t s) { return s >= at.sequence; });
    sequence_ = at.sequence;
    if (at.inode == 0 && at.offset == 0) { // between two files
        const auto older = open_older();
        return older ? Status(Done{}) : Status(older.error());
    }
    auto log = open_rotated_log(dir_, name_, at.sequence);
    if (!log) return log.error();
    if (!log->exists() || log->info.st_ino != at.inode) log = open_log(log_path(dir_, name_));
    if (!log) return log.error();
    const bool same = log->exists() && log->info.st_ino == at.inode &&
                      static_cast<std::uint64_t>(log->info.st_size) >= at.offset;
    if (same) {
        take(std::move(*log), at.sequence, at.offset);
        leave_line();
        return Done{};
    }
    gap_ = true;
    older_.clear(); // what is older went before it
    return Done{};
}

// A place inside a line would show the line without its end, and what is cut in two there is not
// redacted: whoever made such a place up gets the whole line, as does who was shown a page when the
// line was not complete yet. Further behind a line's beginning than what is shown of it, where an
// endless one is read on, nothing is cut.
void BackwardFile::leave_line() {
    std::vector<char> block;
    if (end_ == 0 || (read(end_ - 1, end_, block) && block.front() == '\n')) return;
    const std::uint64_t before = end_ > kMaxLogLine ? end_ - kMaxLogLine : 0;
    const auto size = static_cast<std::uint64_t>(log_.info.st_size);
    const bool is_read = read(before, end_, block);
    if (is_read && before > 0 && std::ranges::find(block, '\n') == block.end()) return;
    const std::uint64_t behind = std::min(size, end_ + kMaxLogLine + 1);
    if (!is_read || !read(end_, behind, block)) { // load() finds out what is wrong with the file
        end_ = behind;
        return;
    }
    const auto newline = std::ranges::find(block, '\n');
    end_ = newline == block.end() ? behind
                                  : end_ + static_cast<std::uint64_t>(newline - block.begin()) + 1;
}

Result<bool> BackwardFile::open_older() {
    if (older_.empty()) return false;
    const std::uint64_t sequence = older_.back();
    older_.pop_back();
    auto log = open_rotated_log(dir_, name_, sequence);
    if (!log) return log.error();
    if (!log->exists()) { // deleted meanwhile, and what is older before it
        older_.clear();
        return false;
    }
    const auto size = static_cast<std::uint64_t>(log->info.st_size);
    take(std::move(*log), sequence, size);
    return true;
}

void BackwardFile::take(OpenLog log, std::uint64_t sequence, std::uint64_t end) {
    times_ = is_daemons_own(name_) ? TimeIndex() : TimeIndex(log.path, log.info.st_ino);
    log_ = std::move(log);
    sequence_ = sequence;
    end_ = end;
}

// Goes back by the time indexes alone as far as everything is newer than what is asked for.
void BackwardFile::pass_newer() {
    const std::int64_t until = *start_.until_ms + kIndexSlackMs;
    while (log_.exists() && !times_.marks().empty()) {
        const auto& marks = times_.marks();
        const auto newer = std::ranges::upper_bound(marks, until, {}, &TimeMark::unix_ms);
        if (newer == marks.end()) return;
        if (newer != marks.begin()) {
            end_ = std::min(end_, line_start(newer->offset));
            return;
        }
        const auto older = open_older();
        if (!older || !older.value()) {
            end_ = 0;
            return;
        }
    }
}

// Of the line that begins at or after `at`.
std::uint64_t BackwardFile::line_start(std::uint64_t at) {
    if (at == 0 || at >= end_) return at;
    std::vector<char> block;
    if (!read(at - 1, std::min(end_, at + kBlock), block)) return at;
    const auto end = std::ranges::find(block, '\n');
    if (end == block.end()) return end_;
    return at + static_cast<std::uint64_t>(end - block.begin());
}

bool BackwardFile::read(std::uint64_t begin, std::uint64_t end, std::vector<char>& to) {
    to.resize(static_cast<std::size_t>(end - begin));
    const ssize_t n = log_.read(begin, to.data(), to.size());
    return n == static_cast<ssize_t>(to.size());
}

Result<BackwardLines::State> BackwardFile::load() {
    while (end_ == 0) {
        const auto older = open_older();
        if (!older) return older.error();
        if (!older.value()) return State::Beginning;
    }
    if (block_ == 0) block_ = kFirstBlock;
    std::vector<char> block;
    for (;; block_ *= 4) {
        const std::uint64_t begin = end_ > block_ ? end_ - block_ : 0;
        if (!budget_.take(end_ - begin)) return State::Spent;
        if (!read(begin, end_, block)) { // truncated, or its packed form is damaged
            gap_ = true;
            end_ = 0;
            older_.clear();
            return State::Beginning;
        }
        const std::string_view text(block.data(), block.size());
        std::size_t start = 0;
        const bool last_try = block_ >= kLargestBlock;
        if (begin > 0) {
            const auto behind = text.find('\n');
            const bool found = behind != std::string_view::npos && behind + 1 < text.size();
            if (!found && last_try) return load_endless(begin);
            if (!found) continue;
            start = behind + 1;
            const auto head = first_head(text, start);
            if (!head && !last_try) continue;
            start = head.value_or(start);
        }
        split(begin + start, text.substr(start));
        block_ = kBlock;
        return State::More;
    }
}

// A line longer than the largest block: its beginning is looked for, and only that is kept.
Result<BackwardLines::State> BackwardFile::load_endless(std::uint64_t from) {
    std::vector<char> block;
    while (from > 0) {
        const std::uint64_t begin = from > kLargestBlock ? from - kLargestBlock : 0;
        if (!budget_.take(from - begin)) {
            end_ = from; // in the middle of it: the next reading goes on from there
            return State::Spent;
        }
        if (!read(begin, from, block)) break;
        const auto newline = std::string_view(block.data(), block.size()).rfind('\n');
        from = begin;
        if (newline == std::string_view::npos) continue;
        from += newline + 1;
        break;
    }
    if (!read(from, std::min(end_, from + kMaxLogLine + 1), block)) block.clear();
    split(from, {block.data(), block.size()});
    block_ = kBlock;
    return State::More;
}

void BackwardFile::split(std::uint64_t begin, std::string_view text) {
    head_.reset();
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        add(begin + at, text.substr(at, end - at));
        at = end + 1;
    }
    if (lines_.empty()) add(begin, {}); // cannot be read any more: still a line, so that it ends
}

void BackwardFile::add(std::uint64_t begin, std::string_view text) {
    Line line;
    line.begin = begin;
    line.line.written_ms = times_.time_at(begin);
    line.line.time_ms = own_time(text);
    if (!line.line.time_ms) line.line.time_ms = line.line.written_ms;
    if (!continues_a_line(text)) head_ = own_level(text);
    line.line.level = head_;
    line.line.text = text.substr(0, kMaxLogLine);
    if (text.size() > kMaxLogLine) line.line.text += kLogCutMark;
    lines_.push_back(std::move(line));
}

} // namespace keepwell::feeds
