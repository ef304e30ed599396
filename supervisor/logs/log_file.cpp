#include "supervisor/logs/log_file.h"

#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <system_error>

namespace keepwell {
namespace {

constexpr std::int64_t kRetryEvery = 1000;
constexpr std::uint64_t kLongestLine = 1U << 20;
constexpr loff_t kProbeBytes = 4096;

void make_directories(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        ::mkdir(path.substr(0, slash).c_str(), 0755);
    }
    ::mkdir(path.c_str(), 0750);
}

bool out_of_reach(int error) {
    return error == ENOSPC || error == EDQUOT || error == EIO || error == EROFS || error == EFBIG;
}

} // namespace

LogFile::LogFile(std::string directory, std::string key, LineFinder& finder)
    : directory_(std::move(directory)),
      path_(log_path(directory_, key)),
      key_(std::move(key)),
      finder_(finder) {}

void LogFile::configure(const LogSpec& spec) {
    max_size_ = std::max<std::uint64_t>(spec.max_size, 1);
    keep_ = spec.keep;
}

std::size_t LogFile::take(int pipe, std::size_t bytes, std::int64_t now) {
    if (now >= checked_at_ + kRetryEvery) check_place(now);
    std::size_t moved = 0;
    while (moved < bytes && ensure_open(now)) {
        Portion portion{bytes - moved, false};
        if (portion.bytes > room() && now >= rotate_again_at_) {
            portion = next_portion(pipe, portion.bytes);
        }
        if (portion.bytes > 0) {
            const std::uint64_t fits = room();
            const std::uint64_t begin = size();
            const ssize_t n =
                ::splice(pipe, nullptr, file_.get(), &offset_, portion.bytes, SPLICE_F_NONBLOCK);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno != EAGAIN) {
                fail(now, "write", errno);
                break;
            }
            if (n <= 0) break;
            const auto written = static_cast<std::size_t>(n);
            moved += written;
            times_.mark(path_, inode_, begin, now);
            overshoot_ += written - std::min<std::uint64_t>(written, fits);
            if (health_ == Health::Probing) {
                health_ = Health::Fine;
                error_.clear();
            }
            if (written < portion.bytes) continue;
        } else if (!portion.rotate_after) {
            break;
        }
        if (portion.rotate_after) rotate(now);
    }
    return moved;
}

// How far to write into this file: to the last line end that fits; else the whole line goes to the
// next file; else, when the line began in this file already, up to its end or a bound.
LogFile::Portion LogFile::next_portion(int pipe, std::size_t bytes) {
    const std::string_view seen = finder_.peek(pipe, bytes);
    const std::uint64_t fits = room();
    if (seen.size() <= fits) return {seen.size(), false};
    const std::string_view fitting = seen.substr(0, fits);
    if (const auto end = fitting.rfind('\n'); end != std::string_view::npos) return {end + 1, true};
    if (offset_ > 0 && at_line_start()) return {0, true};

    const std::uint64_t bound = std::clamp<std::uint64_t>(max_size_ / 2, 1, kLongestLine);
    const std::uint64_t beyond = overshoot_ < bound ? bound - overshoot_ : 0;
    const std::uint64_t most = fits + beyond;
    const auto end = seen.find('\n', fits);
    if (end != std::string_view::npos && end < most) return {end + 1, true};
    if (seen.size() < most) return {seen.size(), false};
    return {most, true};
}

bool LogFile::at_line_start() const {
    char last = 0;
    return ::pread(file_.get(), &last, 1, offset_ - 1) == 1 && last == '\n';
}

bool LogFile::ensure_open(std::int64_t now) {
    if (file_) return true;
    if (failing()) return false;
    int opened = open_file();
    if (opened == -ENOENT) {
        make_directories(directory_);
        opened = open_file();
    }
    if (opened < 0) {
        fail(now, "open", -opened);
        return false;
    }
    Fd file(opened);
    struct stat info {};
    if (::fstat(opened, &info) != 0 || !S_ISREG(info.st_mode)) {
        fail(now, "open", 0);
        return false;
    }
    file_ = std::move(file);
    offset_ = info.st_size;
    device_ = info.st_dev;
    inode_ = info.st_ino;
    overshoot_ = 0;
    checked_at_ = now;
    return true;
}

int LogFile::open_file() const {
    // O_NONBLOCK: opening a FIFO somebody put there must not wait for its reader.
    constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    for (int attempt = 0; attempt < 3; ++attempt) {
        int fd = ::open(path_.c_str(), kFlags);
        if (fd >= 0) return fd;
        if (errno != ENOENT) return -errno;
        fd = ::open(path_.c_str(), kFlags | O_CREAT | O_EXCL, 0640);
        if (fd >= 0) return fd;
        if (errno != EEXIST) return -errno;
    }
    return -EEXIST;
}

// Somebody may have removed, moved or truncated the file or its directory.
void LogFile::check_place(std::int64_t now) {
    checked_at_ = now;
    if (!file_) return;
    struct stat named {};
    if (::lstat(path_.c_str(), &named) != 0 || named.st_dev != device_ || named.st_ino != inode_) {
        forget_file();
        listed_ = false;
        return;
    }
    if (named.st_size != offset_) {
        offset_ = named.st_size;
        times_.close(); // what it says about bytes that are gone is dropped when it is opened again
    }
}

void LogFile::rotate(std::int64_t now) {
    if (!listed_) {
        rotated_ = rotated_sequences(directory_, key_);
        listed_ = true;
    }
    const int error = rename_to_next();
    if (error == ENOENT) { // removed meanwhile: there is nothing to keep
        listed_ = false;
    } else if (error != 0) {
        // The bytes still have a place, so they go on into the file that is too large now.
        rotate_again_at_ = now + kRetryEvery;
        error_ = "cannot rotate " + path_ + ": " + std::generic_category().message(error);
        return;
    }
    if (health_ == Health::Fine) error_.clear();
    forget_file();
    delete_old();
}

int LogFile::rename_to_next() {
    for (int attempt = 0; attempt < 3; ++attempt) {
        const std::uint64_t next = rotated_.empty() ? 1 : rotated_.back() + 1;
        const std::string target = rotated_path(directory_, key_, next);
        int result =
            ::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE);
        if (result != 0 &&
            (errno == EINVAL || errno == ENOSYS)) { // a file system without that flag
            struct stat other {};
            if (::lstat(target.c_str(), &other) == 0) {
                errno = EEXIST;
            } else {
                result = ::rename(path_.c_str(), target.c_str());
            }
        }
        if (result == 0) {
            rotated_.push_back(next);
            rotated_lately_ = true;
            ::rename(index_path(path_).c_str(), index_path(target).c_str());
            return 0;
        }
        if (errno != EEXIST) return errno;
        rotated_ = rotated_sequences(directory_, key_);
    }
    return EEXIST;
}

void LogFile::delete_old() {
    if (rotated_.size() <= keep_) return;
    const auto surplus = static_cast<std::ptrdiff_t>(rotated_.size() - keep_);
    for (auto it = rotated_.begin(); it != rotated_.begin() + surplus; ++it) {
        const std::string path = rotated_path(directory_, key_, *it);
        ::unlink(path.c_str());
        ::unlink(packed_path(directory_, key_, *it).c_str());
        ::unlink(index_path(path).c_str());
    }
    rotated_.erase(rotated_.begin(), rotated_.begin() + surplus);
}

void LogFile::fail(std::int64_t now, const char* verb, int error) {
    std::string why = error == 0 ? "not a regular file" : std::generic_category().message(error);
    if (error == ELOOP) why = "it is a symbolic link";
    error_ = std::string("cannot ") + verb + " " + path_ + ": " + why;
    health_ = Health::Failing;
    retry_at_ = now + kRetryEvery;
    forget_file();
}

void LogFile::retry(std::int64_t now) {
    if (health_ == Health::Fine || now < retry_at_) return;
    if (health_ == Health::Probing) { // a second without an error
        health_ = Health::Fine;
        error_.clear();
        return;
    }
    health_ = Health::Probing;
    if (!ensure_open(now)) return;
    if (::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, offset_, kProbeBytes) != 0 &&
        out_of_reach(errno)) {
        fail(now, "write", errno);
        return;
    }
    retry_at_ = now + kRetryEvery;
}

void LogFile::forget_file() {
    file_.reset();
    times_.close();
    offset_ = 0;
    overshoot_ = 0;
}

} // namespace keepwell
