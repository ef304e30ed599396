#include "supervisor/logs/time_index.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>

namespace keepwell {
namespace {

constexpr std::int64_t kEvery = 100;
constexpr std::uint64_t kDoubleAfter = 32768;
constexpr std::uint64_t kMostDoublings = 20;
constexpr std::size_t kReadAtOnce = 4096; // entries

struct IndexHeader {
    char magic[8] = {'K', 'W', 'T', 'I', 'M', 'E', 'S', '1'};
    std::uint64_t inode = 0;
};
static_assert(sizeof(IndexHeader) == 16 && sizeof(TimeMark) == 16);

bool is_about(int fd, std::uint64_t inode) {
    IndexHeader header;
    IndexHeader wanted;
    wanted.inode = inode;
    return ::pread(fd, &header, sizeof header, 0) == sizeof header &&
           std::memcmp(&header, &wanted, sizeof header) == 0;
}

off_t place_of(std::uint64_t entry) {
    return static_cast<off_t>(sizeof(IndexHeader) + entry * sizeof(TimeMark));
}

std::int64_t unix_ms() {
    timespec t{};
    ::clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

} // namespace

std::string index_path(const std::string& log_file) { return log_file + ".idx"; }

void TimeIndexWriter::close() {
    file_.reset();
    next_at_ = 0;
    count_ = 0;
}

bool TimeIndexWriter::open(const std::string& log_file, ino_t inode, std::uint64_t offset) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    Fd file(::open(index_path(log_file).c_str(), kFlags, 0640));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    count_ = 0;
    if (is_about(file.get(), inode)) {
        const auto bytes = static_cast<std::uint64_t>(info.st_size) - sizeof(IndexHeader);
        count_ = bytes / sizeof(TimeMark);
        TimeMark last;
        // The log was truncated meanwhile: what is known is about bytes that are gone.
        if (count_ > 0 && (::pread(file.get(), &last, sizeof last, place_of(count_ - 1)) !=
                               static_cast<ssize_t>(sizeof last) ||
                           last.offset > offset)) {
            count_ = 0;
            if (::ftruncate(file.get(), sizeof(IndexHeader)) != 0) return false;
        }
    } else {
        IndexHeader header;
        header.inode = inode;
        if (::ftruncate(file.get(), 0) != 0 ||
            ::pwrite(file.get(), &header, sizeof header, 0) != sizeof header) {
            return false;
        }
    }
    file_ = std::move(file);
    return true;
}

void TimeIndexWriter::mark(const std::string& log_file, ino_t inode, std::uint64_t offset,
                           std::int64_t now) {
    if (now < next_at_) return;
    next_at_ = now + (kEvery << std::min(count_ / kDoubleAfter, kMostDoublings));
    if (!file_ && !open(log_file, inode, offset)) return;
    const TimeMark entry{offset, unix_ms()};
    if (::pwrite(file_.get(), &entry, sizeof entry, place_of(count_)) == sizeof entry) ++count_;
}

TimeIndex::TimeIndex(const std::string& log_file, std::uint64_t inode) {
    Fd file(::open(index_path(log_file).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat info {};
    if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return;
    if (!is_about(file.get(), inode)) return;
    file_ = std::move(file);
    read_on();
}

void TimeIndex::read_on() {
    if (!file_) return;
    for (;;) {
        TimeMark fresh[kReadAtOnce];
        const ssize_t n = ::pread(file_.get(), fresh, sizeof fresh, place_of(marks_.size()));
        if (n < static_cast<ssize_t>(sizeof(TimeMark))) return;
        const auto count = static_cast<std::size_t>(n) / sizeof(TimeMark);
        for (std::size_t i = 0; i < count; ++i) {
            // Out of order: not as it was written; from here on nothing is known.
            if (!marks_.empty() && fresh[i].offset < marks_.back().offset) return file_.reset();
            marks_.push_back(fresh[i]);
        }
    }
}

std::optional<std::int64_t> TimeIndex::time_at(std::uint64_t offset) {
    if (marks_.empty() || offset >= marks_.back().offset) read_on();
    const auto behind = std::ranges::upper_bound(marks_, offset, {}, &TimeMark::offset);
    if (behind == marks_.begin()) return std::nullopt;
    return std::prev(behind)->unix_ms;
}

} // namespace keepwell
