#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_files.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/time_index.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

namespace keepwell {
namespace {

constexpr std::size_t kTailBlock = 64U << 10;
constexpr std::size_t kMostAtOnce = 1U << 20;

} // namespace

struct LogTail::Impl {
    Impl(std::string dir_, std::string key_, LogPosition from_, bool timed_)
        : dir(std::move(dir_)),
          key(std::move(key_)),
          from(from_),
          timed(timed_),
          sequence(from_.sequence) {}

    Status poll(std::vector<TimedLine>& lines);
    Status open_first();
    Status open_next();
    Status open_rotated(std::uint64_t wanted);
    Result<std::size_t> read_more(std::vector<TimedLine>& lines);
    void split(std::string_view bytes, std::vector<TimedLine>& lines);
    bool is_current() const;
    bool not_left_yet() const;
    void learn_sequence();
    void take(OpenLog log, std::uint64_t its_sequence, std::uint64_t at);
    LogPosition here(std::uint64_t at) const;

    std::string dir, key;
    LogPosition from;
    bool timed = false;
    bool started = false;
    OpenLog log;                // what is being read; none: `sequence` is read already
    std::uint64_t sequence = 0; // it has, or will have once rotated
    std::uint64_t offset = 0;
    TimeIndex times;
    std::int64_t line_time = 0; // of the line that is not complete yet
    LogPosition line_begin;     // of that line
    bool lost = false;
    LineSplitter splitter{kMaxLogLine, kLogCutMark};
    std::vector<char> block; // while polling
};

Status LogTail::Impl::poll(std::vector<TimedLine>& lines) {
    if (!started) {
        if (const Status opened = open_first(); !opened) return opened;
        started = true;
    }
    for (std::size_t got = 0; got < kMostAtOnce || lines.empty();) {
        if (!log.exists()) {
            if (const Status opened = open_next(); !opened) return opened;
            if (!log.exists()) return Done{};
        }
        // Asked before the read: nothing is written to a file after it was left.
        const bool current = is_current() || not_left_yet();
        const auto read = read_more(lines);
        if (!read) return read.error();
        got += read.value();
        if (read.value() > 0) continue;
        if (current) return Done{};
        learn_sequence();
        log = {};
    }
    return Done{};
}

Status LogTail::Impl::open_first() {
    if (from.inode == 0) return Done{};
    auto newest = open_log(log_path(dir, key));
    if (!newest) return newest.error();
    const auto rotated = rotated_sequences(dir, key);
    // An inode's number is used again soon once its file was compressed or deleted.
    const bool rotated_since = !rotated.empty() && rotated.back() > from.sequence;
    if (newest->exists() && !rotated_since && newest->info.st_ino == from.inode) {
        take(std::move(*newest), from.sequence + 1, from.offset);
        return Done{};
    }
    for (const std::uint64_t later : rotated) {
        if (later <= from.sequence) continue;
        auto candidate = open_rotated_log(dir, key, later);
        if (candidate && candidate->exists() && candidate->info.st_ino == from.inode) {
            take(std::move(*candidate), later, from.offset);
            return Done{};
        }
    }
    lost = true; // gone: what came after it is next
    return Done{};
}

// The file after `sequence`: the next rotated one, else KEY.log.
Status LogTail::Impl::open_next() {
    if (const Status next = open_rotated(sequence + 1); !next || log.exists()) return next;
    const auto rotated = rotated_sequences(dir, key);
    const auto later = std::ranges::upper_bound(rotated, sequence);
    if (later != rotated.end()) {
        lost = true;
        return open_rotated(*later);
    }

    auto newest = open_log(log_path(dir, key));
    if (!newest) return newest.error();
    // Unless a rotation came in between and this is already the file after the next.
    if (const Status next = open_rotated(sequence + 1); !next || log.exists()) return next;
    if (newest->exists()) take(std::move(*newest), sequence + 1, 0);
    return Done{};
}

Status LogTail::Impl::open_rotated(std::uint64_t wanted) {
    auto rotated = open_rotated_log(dir, key, wanted);
    if (!rotated) return rotated.error();
    if (rotated->exists()) take(std::move(*rotated), wanted, 0);
    return Done{};
}

void LogTail::Impl::take(OpenLog opened, std::uint64_t its_sequence, std::uint64_t at) {
    if (timed) times = TimeIndex(opened.path, opened.info.st_ino);
    log = std::move(opened);
    sequence = its_sequence;
    offset = at;
}

Result<std::size_t> LogTail::Impl::read_more(std::vector<TimedLine>& lines) {
    const ssize_t n = log.read(offset, block.data(), block.size());
    if (n < 0) {
        const int error = errno;
        return Error{"cannot read " + log_path(dir, key) + ": " +
                         std::generic_category().message(error),
                     error};
    }
    if (n == 0) {
        struct stat info {};
        if (log.file && ::fstat(log.file.get(), &info) == 0 &&
            static_cast<std::uint64_t>(info.st_size) < offset) { // truncated: begin anew
            offset = 0;
            lost = true;
            splitter.clear();
            if (info.st_size > 0) return read_more(lines);
        }
        return std::size_t{0};
    }
    const auto size = static_cast<std::size_t>(n);
    split({block.data(), size}, lines);
    offset += size;
    return size;
}

void LogTail::Impl::split(std::string_view bytes, std::vector<TimedLine>& lines) {
    for (std::size_t at = 0; at < bytes.size();) {
        if (splitter.rest().empty()) {
            if (timed) line_time = times.time_at(offset + at).value_or(0);
            line_begin = here(offset + at);
        }
        const auto end = std::min(bytes.find('\n', at), bytes.size() - 1) + 1;
        splitter.feed(bytes.substr(at, end - at), [&](std::string line) {
            lines.push_back(TimedLine{std::move(line), line_time, here(offset + end)});
        });
        at = end;
    }
}

LogPosition LogTail::Impl::here(std::uint64_t at) const {
    return {log.info.st_ino, at, sequence - 1};
}

bool LogTail::Impl::is_current() const {
    struct stat named {};
    if (log.packed) return false; // its inode's number may be another file's by now
    return ::lstat(log_path(dir, key).c_str(), &named) == 0 && named.st_dev == log.info.st_dev &&
           named.st_ino == log.info.st_ino;
}

// Who writes the file itself goes on in the renamed one until it is told to leave it.
bool LogTail::Impl::not_left_yet() const {
    struct stat fresh {
    }, old{};
    if (is_daemons_own(key)) return ::lstat(key.c_str(), &fresh) != 0 || fresh.st_size == 0;
    const auto all = rotated_sequences(dir, key);
    return !log.packed && !all.empty() && ::lstat(log_path(dir, key).c_str(), &fresh) == 0 &&
           fresh.st_size == 0 && ::lstat(rotated_path(dir, key, all.back()).c_str(), &old) == 0 &&
           old.st_dev == log.info.st_dev && old.st_ino == log.info.st_ino;
}

void LogTail::Impl::learn_sequence() {
    const auto all = rotated_sequences(dir, key);
    for (const std::uint64_t rotated : all) {
        if (rotated < sequence) continue;
        const auto candidate = open_rotated_log(dir, key, rotated);
        if (candidate && candidate.value().exists() &&
            candidate.value().info.st_dev == log.info.st_dev &&
            candidate.value().info.st_ino == log.info.st_ino) {
            sequence = rotated;
            return;
        }
    }
    // Deleted after its rotation (then only later ones are left), or never rotated: then the next
    // file gets the sequence this one would have had.
    if (all.empty() || all.front() <= sequence) --sequence;
}

LogTail::LogTail(std::string dir, std::string key, LogPosition from, bool timed)
    : impl_(std::make_unique<Impl>(std::move(dir), std::move(key), from, timed)) {}
LogTail::~LogTail() = default;
LogTail::LogTail(LogTail&&) noexcept = default;
LogTail& LogTail::operator=(LogTail&&) noexcept = default;

Result<std::vector<TimedLine>> LogTail::poll_timed() {
    std::vector<TimedLine> lines;
    try {
        impl_->block.resize(kTailBlock);
        const Status status = impl_->poll(lines);
        std::vector<char>().swap(impl_->block);
        // Lines already read are handed out first; the error comes again with the next call.
        if (!status && lines.empty()) return status.error();
    } catch (const std::exception& e) {
        return Error{"cannot read the log of " + impl_->key + ": " + e.what(), 0};
    }
    return lines;
}

Result<std::vector<std::string>> LogTail::poll() {
    auto timed = poll_timed();
    if (!timed) return timed.error();
    std::vector<std::string> lines;
    lines.reserve(timed->size());
    for (TimedLine& line : *timed) lines.push_back(std::move(line.text));
    return lines;
}

LogPosition LogTail::position() const {
    const Impl& at = *impl_;
    if (!at.started) return at.from;
    if (!at.splitter.rest().empty()) return at.line_begin;
    return at.log.exists() ? at.here(at.offset) : LogPosition{0, 0, at.sequence};
}

bool LogTail::take_lost() { return std::exchange(impl_->lost, false); }

TimedLine LogTail::rest() const { return {impl_->splitter.rest(), impl_->line_time, {}}; }

} // namespace keepwell
