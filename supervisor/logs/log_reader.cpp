#include "supervisor/logs/log_reader.h"

#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_files.h"
#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fcntl.h>
#include <optional>
#include <system_error>

namespace keepwell {
namespace {

constexpr std::size_t kBlock = 64U << 10;

struct StreamFile {
    OpenLog log;
    std::uint64_t size = 0;
    std::uint64_t sequence = 0; // it has, or will have once rotated
};
struct Place {
    std::size_t file = 0; // 0 = the newest
    std::uint64_t offset = 0;
};

// The files of one key, opened from the newest to the oldest as far as they are needed.
class Stream {
  public:
    Stream(const std::string& dir, const std::string& key) : dir_(dir), key_(key) {}

    Status open_newest() {
        // In this order: what is rotated in between is then seen twice rather than not at all.
        auto newest = open_log(log_path(dir_, key_));
        if (!newest) return newest.error();
        older_ = rotated_sequences(dir_, key_);
        const std::uint64_t last = older_.empty() ? 0 : older_.back();
        const bool exists = newest->exists();
        const ino_t inode = newest->info.st_ino;
        if (exists) push(std::move(*newest), last + 1);
        if (exists && !older_.empty()) {
            const auto rotated = open_rotated_log(dir_, key_, last);
            if (rotated && rotated.value().exists() && rotated.value().info.st_ino == inode) {
                files_.back().sequence = last;
                older_.pop_back();
            }
        }
        return Done{};
    }

    Result<bool> open_older() { // false: there is none
        if (older_.empty()) return false;
        const std::uint64_t sequence = older_.back();
        older_.pop_back();
        auto log = open_rotated_log(dir_, key_, sequence);
        if (!log) return log.error();
        if (!log->exists()) { // deleted meanwhile: the stream begins after it
            older_.clear();
            return false;
        }
        push(std::move(*log), sequence);
        return true;
    }

    std::vector<StreamFile>& files() { return files_; }
    const std::vector<StreamFile>& files() const { return files_; }
    std::uint64_t newest_rotated() const { return older_.empty() ? 0 : older_.back(); }

  private:
    void push(OpenLog log, std::uint64_t sequence) {
        const auto size = static_cast<std::uint64_t>(log.info.st_size);
        files_.push_back(StreamFile{std::move(log), size, sequence});
    }

    std::string dir_, key_;
    std::vector<StreamFile> files_;
    std::vector<std::uint64_t> older_;
};

std::size_t read_block(StreamFile& file, std::uint64_t offset, char* to, std::size_t size) {
    const ssize_t n = file.log.read(offset, to, size);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
}

// Steps backwards from line end to line end.
class BackwardScan {
  public:
    explicit BackwardScan(Stream& stream) : stream_(stream), block_(kBlock) {}

    // The place behind the next '\n' towards the beginning; nullopt: there is none.
    Result<std::optional<Place>> next() {
        for (;;) {
            while (left_ > 0) {
                --left_;
                if (block_[left_] == '\n') return std::optional(Place{file_, begin_ + left_ + 1});
            }
            const auto more = load();
            if (!more) return more.error();
            if (!more.value()) return std::optional<Place>{};
        }
    }

  private:
    Result<bool> load() {
        while (!started_ || begin_ == 0) {
            const std::size_t wanted = started_ ? file_ + 1 : 0;
            if (wanted >= stream_.files().size()) {
                const auto opened = stream_.open_older();
                if (!opened || !opened.value()) return opened;
            }
            started_ = true;
            file_ = wanted;
            begin_ = stream_.files()[file_].size;
        }
        const std::size_t size = std::min<std::uint64_t>(kBlock, begin_);
        begin_ -= size;
        left_ = read_block(stream_.files()[file_], begin_, block_.data(), size);
        return true;
    }

    Stream& stream_;
    std::vector<char> block_;
    std::size_t left_ = 0;
    std::size_t file_ = 0;
    std::uint64_t begin_ = 0;
    bool started_ = false;
};

std::vector<std::string> lines_between(Stream& stream, Place from, Place to, bool with_rest) {
    std::vector<std::string> lines;
    LineSplitter splitter(kMaxLogLine, kLogCutMark);
    std::vector<char> block(kBlock);
    for (std::size_t i = from.file + 1; i-- > to.file;) {
        StreamFile& file = stream.files()[i];
        std::uint64_t at = i == from.file ? from.offset : 0;
        const std::uint64_t end = i == to.file ? to.offset : file.size;
        while (at < end) {
            const std::size_t n =
                read_block(file, at, block.data(), std::min<std::uint64_t>(kBlock, end - at));
            if (n == 0) break;
            splitter.feed({block.data(), n},
                          [&](std::string line) { lines.push_back(std::move(line)); });
            at += n;
        }
    }
    if (with_rest && !splitter.rest().empty()) lines.push_back(splitter.rest());
    return lines;
}

std::uint64_t bytes_after(const Stream& stream, Place place) {
    std::uint64_t bytes = stream.files()[place.file].size - place.offset;
    for (std::size_t i = 0; i < place.file; ++i) bytes += stream.files()[i].size;
    return bytes;
}

LogPosition position_of(const Stream& stream, Place place) {
    const StreamFile& file = stream.files()[place.file];
    return {file.log.info.st_ino, place.offset, file.sequence - 1};
}

Result<LastLines> read_last_of(Stream& stream, std::size_t n, bool with_rest, bool with_text) {
    if (const Status opened = stream.open_newest(); !opened) return opened.error();
    if (stream.files().empty()) {
        // Between a rotation and the next byte there is no KEY.log, yet there are lines.
        const std::uint64_t newest = stream.newest_rotated();
        const auto opened = stream.open_older();
        if (!opened) return opened.error();
        if (!opened.value()) return LastLines{{}, {0, 0, newest}, {0, 0, newest}, true};
    }
    BackwardScan scan(stream);
    auto found = scan.next();
    if (!found) return found.error();
    const Place stream_end{0, stream.files().front().size};
    const Place lines_end =
        found.value().value_or(Place{stream.files().size() - 1, 0}); // no line end at all
    const bool has_rest = bytes_after(stream, lines_end) > 0;

    std::size_t steps = with_rest && has_rest && n > 0 ? n - 1 : n;
    for (; steps > 0 && found.value(); --steps) {
        found = scan.next();
        if (!found) return found.error();
    }
    const Place begin = found.value().value_or(Place{stream.files().size() - 1, 0});
    LastLines last;
    last.begin = position_of(stream, begin);
    last.whole = !found.value();
    last.end = position_of(stream, lines_end);
    if (n > 0 && with_text) {
        last.lines = lines_between(stream, begin, with_rest ? stream_end : lines_end, with_rest);
    }
    return last;
}

} // namespace

ssize_t OpenLog::read(std::uint64_t offset, char* to, std::size_t size) {
    if (packed) return static_cast<ssize_t>(packed->read(offset, to, size));
    std::size_t got = 0;
    while (got < size) {
        const ssize_t n =
            ::pread(file.get(), to + got, size - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && got == 0) return -1;
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
    }
    return static_cast<ssize_t>(got);
}

Result<OpenLog> open_log(const std::string& path) {
    OpenLog log;
    log.path = path;
    log.file.reset(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!log.file) {
        if (errno == ENOENT) return log;
        const int error = errno;
        const std::string why =
            error == ELOOP ? "it is a symbolic link" : std::generic_category().message(error);
        return Error{"cannot read " + path + ": " + why, error};
    }
    if (::fstat(log.file.get(), &log.info) != 0 || !S_ISREG(log.info.st_mode)) {
        return Error{"cannot read " + path + ": not a regular file", 0};
    }
    return log;
}

Result<OpenLog> open_rotated_log(const std::string& dir, const std::string& key,
                                 std::uint64_t sequence) {
    if (is_daemons_own(key)) return OpenLog{};
    // Plain first: where both are, the compressed one came last and says the same.
    auto log = open_log(rotated_path(dir, key, sequence));
    if (!log || log->exists()) return log;
    const std::string path = packed_path(dir, key, sequence);
    auto packed = open_log(path);
    if (!packed || !packed->exists()) return packed;
    auto opened = PackedLog::open(std::move(packed->file), path);
    if (!opened) return opened.error();
    log->info = packed->info;
    log->info.st_ino = opened->inode();
    log->info.st_size = static_cast<off_t>(opened->size());
    log->packed = std::make_unique<PackedLog>(std::move(*opened));
    return log;
}

Result<LastLines> read_last(const std::string& dir, const std::string& key, std::size_t n,
                            bool with_rest, bool with_text) {
    try {
        Stream stream(dir, key);
        return read_last_of(stream, n, with_rest, with_text);
    } catch (const std::exception& e) {
        return Error{"cannot read the log of " + key + ": " + e.what(), 0};
    }
}

Result<std::vector<std::string>> read_last_lines(const std::string& dir, const std::string& key,
                                                 std::size_t n) {
    auto last = read_last(dir, key, n, true);
    if (!last) return last.error();
    return std::move(last->lines);
}

LogPosition log_end(const std::string& dir, const std::string& key) {
    LogPosition end;
    struct stat info {};
    if (::lstat(log_path(dir, key).c_str(), &info) == 0) {
        end.inode = info.st_ino;
        end.offset = static_cast<std::uint64_t>(info.st_size);
    }
    const auto rotated = rotated_sequences(dir, key);
    if (!rotated.empty()) end.sequence = rotated.back();
    return end;
}

} // namespace keepwell
