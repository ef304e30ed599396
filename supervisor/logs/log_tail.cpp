#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_files.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <system_error>

namespace keepwell {
namespace {

constexpr std::size_t kBlock = 64U << 10;
constexpr std::size_t kMostAtOnce = 1U << 20;

} // namespace

struct LogTail::Impl {
    Impl(std::string dir_, std::string key_, LogPosition from_)
        : dir(std::move(dir_)), key(std::move(key_)), from(from_), sequence(from_.sequence) {}

    Status poll(std::vector<std::string>& lines);
    Status open_first();
    Status open_next();
    Status open_rotated(std::uint64_t wanted);
    Result<std::size_t> read_more(std::vector<std::string>& lines);
    bool is_current() const;
    void learn_sequence();
    void take(OpenLog log, std::uint64_t its_sequence, std::uint64_t at);

    std::string dir, key;
    LogPosition from;
    bool started = false;
    OpenLog log;                // what is being read; none: `sequence` is read already
    std::uint64_t sequence = 0; // it has, or will have once rotated
    std::uint64_t offset = 0;
    LineSplitter splitter{kMaxLogLine, kLogCutMark};
    std::vector<char> block = std::vector<char>(kBlock);
};

Status LogTail::Impl::poll(std::vector<std::string>& lines) {
    if (!started) {
        if (const Status opened = open_first(); !opened) return opened;
        started = true;
    }
    for (std::size_t got = 0; got < kMostAtOnce || lines.empty();) {
        if (!log.file) {
            if (const Status opened = open_next(); !opened) return opened;
            if (!log.file) return Done{};
        }
        // Asked before the read: nothing is written to a file after it was renamed.
        const bool current = is_current();
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
    if (newest->file && newest->info.st_ino == from.inode) {
        take(std::move(*newest), from.sequence + 1, from.offset);
        return Done{};
    }
    for (const std::uint64_t rotated : rotated_sequences(dir, key)) {
        if (rotated <= from.sequence) continue;
        auto candidate = open_log(rotated_path(dir, key, rotated));
        if (candidate && candidate->file && candidate->info.st_ino == from.inode) {
            take(std::move(*candidate), rotated, from.offset);
            return Done{};
        }
    }
    return Done{}; // gone: what came after it is next
}

// The file after `sequence`: the next rotated one, else KEY.log.
Status LogTail::Impl::open_next() {
    if (const Status next = open_rotated(sequence + 1); !next || log.file) return next;
    const auto rotated = rotated_sequences(dir, key);
    const auto later = std::ranges::upper_bound(rotated, sequence);
    if (later != rotated.end()) return open_rotated(*later);

    auto newest = open_log(log_path(dir, key));
    if (!newest) return newest.error();
    // Unless a rotation came in between and this is already the file after the next.
    if (const Status next = open_rotated(sequence + 1); !next || log.file) return next;
    if (newest->file) take(std::move(*newest), sequence + 1, 0);
    return Done{};
}

Status LogTail::Impl::open_rotated(std::uint64_t wanted) {
    auto rotated = open_log(rotated_path(dir, key, wanted));
    if (!rotated) return rotated.error();
    if (rotated->file) take(std::move(*rotated), wanted, 0);
    return Done{};
}

void LogTail::Impl::take(OpenLog opened, std::uint64_t its_sequence, std::uint64_t at) {
    log = std::move(opened);
    sequence = its_sequence;
    offset = at;
}

Result<std::size_t> LogTail::Impl::read_more(std::vector<std::string>& lines) {
    ssize_t n = 0;
    do {
        n = ::pread(log.file.get(), block.data(), block.size(), static_cast<off_t>(offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        const int error = errno;
        return Error{"cannot read " + log_path(dir, key) + ": " +
                         std::generic_category().message(error),
                     error};
    }
    if (n == 0) {
        struct stat info {};
        if (::fstat(log.file.get(), &info) == 0 &&
            static_cast<std::uint64_t>(info.st_size) < offset) { // truncated: begin anew
            offset = 0;
            splitter.clear();
            if (info.st_size > 0) return read_more(lines);
        }
        return std::size_t{0};
    }
    offset += static_cast<std::uint64_t>(n);
    splitter.feed({block.data(), static_cast<std::size_t>(n)},
                  [&](std::string line) { lines.push_back(std::move(line)); });
    return static_cast<std::size_t>(n);
}

bool LogTail::Impl::is_current() const {
    struct stat named {};
    return ::lstat(log_path(dir, key).c_str(), &named) == 0 && named.st_dev == log.info.st_dev &&
           named.st_ino == log.info.st_ino;
}

void LogTail::Impl::learn_sequence() {
    const auto all = rotated_sequences(dir, key);
    for (const std::uint64_t rotated : all) {
        struct stat named {};
        if (::lstat(rotated_path(dir, key, rotated).c_str(), &named) == 0 &&
            named.st_dev == log.info.st_dev && named.st_ino == log.info.st_ino) {
            sequence = rotated;
            return;
        }
    }
    // Deleted after its rotation (then only later ones are left), or never rotated: then the next
    // file gets the sequence this one would have had.
    if (all.empty() || all.front() <= sequence) --sequence;
}

LogTail::LogTail(std::string dir, std::string key, LogPosition from)
    : impl_(std::make_unique<Impl>(std::move(dir), std::move(key), from)) {}
LogTail::~LogTail() = default;
LogTail::LogTail(LogTail&&) noexcept = default;
LogTail& LogTail::operator=(LogTail&&) noexcept = default;

Result<std::vector<std::string>> LogTail::poll() {
    std::vector<std::string> lines;
    try {
        const Status status = impl_->poll(lines);
        // Lines already read are handed out first; the error comes again with the next call.
        if (!status && lines.empty()) return status.error();
    } catch (const std::exception& e) {
        return Error{"cannot read the log of " + impl_->key + ": " + e.what(), 0};
    }
    return lines;
}

} // namespace keepwell
