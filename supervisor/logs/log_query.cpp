#include "supervisor/logs/log_query.h"

#include "supervisor/logs/log_files.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/time_index.h"
#include "supervisor/logs/time_search.h"

#include <algorithm>
#include <ctime>
#include <exception>
#include <iterator>

namespace keepwell {
namespace {

constexpr std::size_t kFirstGuess = 256; // lines looked at for each search of a level
constexpr std::size_t kGrowth = 8;

std::int64_t wall_ms() {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

// Where in this file the lines of `since` begin; nullopt: perhaps before it.
std::optional<std::uint64_t> begin_in(OpenLog& log, std::int64_t since) {
    const auto changed =
        std::int64_t{log.info.st_mtim.tv_sec} * 1000 + log.info.st_mtim.tv_nsec / 1'000'000;
    // The kernel stamps files with a clock that is a little behind.
    if (changed + 100 < since) return static_cast<std::uint64_t>(log.info.st_size);
    const TimeIndex times(log.path, log.info.st_ino);
    if (times.marks().empty()) {
        const std::uint64_t begin = begin_by_own_times(log, since);
        return begin == 0 ? std::nullopt : std::optional(begin);
    }
    // The last entry before `since` covers lines up to the next one, some of them later.
    const auto& marks = times.marks();
    const auto later = std::ranges::find_if(
        marks, [since](const TimeMark& mark) { return mark.unix_ms >= since; });
    if (later == marks.begin()) return std::nullopt;
    return std::prev(later)->offset;
}

// A position at or before the first line of `since`, as near as the time indexes allow.
Result<LogPosition> position_since(const std::string& dir, const std::string& key,
                                   std::int64_t since) {
    auto newest = open_log(log_path(dir, key));
    if (!newest) return newest.error();
    auto sequences = rotated_sequences(dir, key);
    LogPosition whole{0, 0, sequences.empty() ? 0 : sequences.front() - 1};
    const std::uint64_t last = sequences.empty() ? 0 : sequences.back();
    if (newest->exists()) {
        if (const auto offset = begin_in(*newest, since)) {
            return LogPosition{newest->info.st_ino, *offset, last};
        }
    }
    for (; !sequences.empty(); sequences.pop_back()) {
        auto log = open_rotated_log(dir, key, sequences.back());
        if (!log) return log.error();
        if (!log->exists()) break;
        if (const auto offset = begin_in(*log, since)) {
            return LogPosition{log->info.st_ino, *offset, sequences.back() - 1};
        }
    }
    return whole;
}

} // namespace

Result<LogCursor> LogCursor::open(const std::string& dir, const std::string& key,
                                  const LogQuery& query) {
    try {
        if (query.since_ms) {
            const auto from = position_since(dir, key, *query.since_ms);
            if (!from) return from.error();
            LogCursor cursor(LogTail(dir, key, from.value(), true), query);
            if (query.last) {
                auto found = cursor.all_present();
                if (!found) return found.error();
                cursor.first_ = std::move(*found);
            }
            return cursor;
        }
        // Without a level the last lines are known at once; with one it is looked further and
        // further back until there are enough.
        const std::size_t last = query.last.value_or(0);
        for (std::size_t lines = query.level ? std::max(last * 4, kFirstGuess) : last;;
             lines *= kGrowth) {
            auto from = read_last(dir, key, lines, query.unfinished, false);
            if (!from) return from.error();
            LogCursor cursor(LogTail(dir, key, last == 0 ? from->end : from->begin, true), query);
            if (last == 0) {
                cursor.rest_counted_ = true;
                return cursor;
            }
            auto found = cursor.all_present();
            if (!found) return found.error();
            if (!query.level || from->whole || found->size() >= last) {
                cursor.first_ = std::move(*found);
                return cursor;
            }
        }
    } catch (const std::exception& e) {
        return Error{"cannot read the log of " + key + ": " + e.what(), 0};
    }
}

// Everything up to now, of it the last lines.
Result<std::vector<LogEntry>> LogCursor::all_present() {
    std::vector<LogEntry> found;
    for (;;) {
        auto more = poll();
        if (!more) return more.error();
        if (more->empty()) break;
        std::ranges::move(*more, std::back_inserter(found));
        if (query_.last && found.size() > 2 * *query_.last + 1000) {
            found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(*query_.last));
        }
    }
    if (query_.unfinished) {
        if (auto unfinished = rest()) found.push_back(std::move(*unfinished));
        rest_counted_ = true;
    }
    if (query_.last && found.size() > *query_.last) {
        found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(*query_.last));
    }
    return found;
}

Result<std::vector<LogEntry>> LogCursor::poll() {
    if (!first_.empty()) return std::exchange(first_, {});
    std::vector<LogEntry> entries;
    while (entries.empty()) { // a batch in which nothing matches is not the end
        auto lines = tail_.poll_timed();
        if (!lines) return lines.error();
        if (lines->empty()) break;
        for (TimedLine& line : *lines) {
            if (auto entry = entry_of(std::move(line))) entries.push_back(std::move(*entry));
        }
    }
    return entries;
}

std::optional<LogEntry> LogCursor::rest() {
    TimedLine line = tail_.rest();
    if (rest_counted_ || line.text.empty()) return std::nullopt;
    return entry_of(std::move(line));
}

std::optional<LogEntry> LogCursor::entry_of(TimedLine line) {
    LogEntry entry;
    entry.time_ms = own_time(line.text);
    if (!entry.time_ms && live_) entry.time_ms = wall_ms();
    if (!entry.time_ms && line.written_ms != 0) entry.time_ms = line.written_ms;
    if (!continues_a_line(line.text)) head_ = own_level(line.text);
    entry.level = head_;
    entry.text = std::move(line.text);
    if (query_.since_ms && entry.time_ms && *entry.time_ms < *query_.since_ms) return std::nullopt;
    if (query_.level && (!entry.level || *entry.level > *query_.level)) return std::nullopt;
    return entry;
}

} // namespace keepwell
