// What the tests of logs share: a directory of their own, pipes, writers, waiting with a deadline.
#pragma once

#include "supervisor/logs/fd.h"
#include "supervisor/logs/log_mover.h"
#include "supervisor/logs/log_names.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace keepwell::test {

class TempDir {
  public:
    TempDir() {
        std::string pattern = "/tmp/keepwell-logs-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

struct Pipe {
    Pipe() {
        int ends[2] = {-1, -1};
        if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
        read.reset(ends[0]);
        write.reset(ends[1]);
    }
    // As the keeper gives it away: the same open file description.
    int share_read() const { return ::fcntl(read.get(), F_DUPFD_CLOEXEC, 0); }
    int share_write() const { return ::fcntl(write.get(), F_DUPFD_CLOEXEC, 0); }
    Fd read, write;
};

inline bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

// The whole output of a key: rotated files, then the current one.
inline std::string read_stream(const std::string& dir, const std::string& key) {
    std::string all;
    for (const std::uint64_t sequence : rotated_sequences(dir, key)) {
        all += read_file(rotated_path(dir, key, sequence));
    }
    return all + read_file(log_path(dir, key));
}

inline bool wait_until(const std::function<bool()>& condition,
                       std::chrono::milliseconds most = std::chrono::seconds(20)) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// A mover with its staging pipe and owner word held outside, as the keeper does.
class Bench {
  public:
    explicit Bench(std::string directory) : directory_(std::move(directory)) {
        void* const shared = ::mmap(nullptr, sizeof(StageOwner), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED) std::abort();
        owner = new (shared) StageOwner{};
    }
    ~Bench() {
        mover.reset();
        ::munmap(owner, sizeof(StageOwner));
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    LogMover& start() {
        LogMover::Options options;
        options.directory = directory_;
        options.stage_read = stage.share_read();
        options.stage_write = stage.share_write();
        options.owner = owner;
        options.report = [this](LogReport report) {
            const std::lock_guard lock(mutex_);
            reports_.push_back(std::move(report));
        };
        options.rotated = rotated;
        mover = std::make_unique<LogMover>(std::move(options));
        return *mover;
    }
    void add(const std::string& key, const Pipe& pipe, const LogSpec& spec = {}) {
        mover->add(LogSource{key, 1, pipe.share_read(), spec});
    }
    bool flush(const std::string& key) {
        const auto done = std::make_shared<std::promise<void>>();
        auto future = done->get_future();
        mover->flush(key, [done] { done->set_value(); });
        return future.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    }
    std::vector<LogReport> reports(const std::string& key) const {
        const std::lock_guard lock(mutex_);
        std::vector<LogReport> found;
        for (const LogReport& report : reports_) {
            if (report.key == key) found.push_back(report);
        }
        return found;
    }
    bool wait_for_report(const std::string& key,
                         const std::function<bool(const LogReport&)>& wanted) const {
        return wait_until([&] {
            for (const LogReport& report : reports(key)) {
                if (wanted(report)) return true;
            }
            return false;
        });
    }
    bool wait_for_eof(const std::string& key) const {
        return wait_for_report(key, [](const LogReport& report) { return report.eof; });
    }

    std::function<void(const std::string& key)> rotated; // before start()
    Pipe stage;
    StageOwner* owner = nullptr;
    std::unique_ptr<LogMover> mover;

  private:
    std::string directory_;
    mutable std::mutex mutex_;
    std::vector<LogReport> reports_;
};

// The i-th line of a writer: whole, once and in order can be told from it.
inline std::string numbered_line(unsigned long i) {
    const std::string number = std::to_string(i);
    return number + " " + std::string(10 + (i * 7919) % 120, static_cast<char>('a' + i % 26)) +
           " " + number + "\n";
}

// Empty = the stream is exactly the lines 0 … count-1; else the first thing wrong.
inline std::string check_numbered(const std::string& stream, unsigned long count) {
    std::size_t at = 0;
    for (unsigned long i = 0; i < count; ++i) {
        const std::string line = numbered_line(i);
        if (stream.compare(at, line.size(), line) != 0) {
            return "line " + std::to_string(i) + " of " + std::to_string(count) +
                   " is wrong at byte " + std::to_string(at) + ": " + stream.substr(at, 60);
        }
        at += line.size();
    }
    return at == stream.size() ? "" : "more than was written: " + stream.substr(at, 60);
}

} // namespace keepwell::test
