// Reads captured output back: the last lines of a unit, new lines as they come, and whether one
// matches a pattern (ready = log:REGEX).
//
// The output of KEY is one stream: KEY.log.1, KEY.log.2 … (rotated, oldest first, plain or
// compressed), then KEY.log. A
// line is raw bytes without its '\n'; one longer than kMaxLogLine is cut there and gets
// kLogCutMark. What has no '\n' yet is not a line yet. Memory is bounded by the lines handed out. A
// log that does not exist is empty, not an error. Objects belong to one thread; nothing throws;
// nothing blocks except reads of files.
#pragma once

#include "supervisor/logs/fd.h"
#include "units/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

inline constexpr std::size_t kMaxLogLine = 64U << 10;
inline constexpr std::string_view kLogCutMark = " [... cut by keepwell]";

struct LogLine {
    std::string key;
    std::string text;
};

// A place in the stream of one key.
struct LogPosition {
    std::uint64_t inode = 0;    // of the file; 0 = KEY.log did not exist
    std::uint64_t offset = 0;   // bytes
    std::uint64_t sequence = 0; // the newest rotated file that existed
};

// The last n lines over rotated files and KEY.log, oldest first. A last line without '\n' counts.
Result<std::vector<std::string>> read_last_lines(const std::string& dir, const std::string& key,
                                                 std::size_t n);

// Where the next byte of key will be written.
LogPosition log_end(const std::string& dir, const std::string& key);

struct TimedLine {
    std::string text;
    std::int64_t written_ms = 0; // unix; 0 = not known
    LogPosition end = {};        // behind it, where it comes from a LogTail
};

// New complete lines of one key since a position, each once and in order, also when files are
// rotated, truncated or removed meanwhile.
class LogTail {
  public:
    // timed: looks up when lines were written.
    LogTail(std::string dir, std::string key, LogPosition from, bool timed = false);
    ~LogTail();
    LogTail(LogTail&&) noexcept;
    LogTail& operator=(LogTail&&) noexcept;

    // About 1 MiB of text at most; empty = nothing new. After an error it may be called again.
    Result<std::vector<std::string>> poll();
    Result<std::vector<TimedLine>> poll_timed();
    TimedLine rest() const; // what has no '\n' yet
    // Where the next line that poll() will give begins; 0 = in the file after `sequence`.
    LogPosition position() const;
    // Lines are gone that were not read: their file was deleted or truncated. Since the last call.
    bool take_lost();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Rings when something may have been written. Loop: read until there is nothing, wait until
// wait_fd() is readable (or at most 1 s), answer(), read again.
class LogBell {
  public:
    // Fails when dir cannot be watched ("cannot follow logs in /x: No such file or directory").
    static Result<LogBell> open(const std::string& dir, const std::vector<std::string>& keys);
    LogBell(LogBell&&) noexcept = default;
    LogBell& operator=(LogBell&&) noexcept = default;
    void answer();
    int wait_fd() const { return inotify_.get(); } // stays the bell's

  private:
    LogBell() = default;
    bool watch() const;

    std::string dir_;
    std::vector<std::string> keys_;
    Fd inotify_;
};

// `keepwell logs -f`: the last lines of several keys, then what comes.
//
// Loop: poll() until it returns nothing, then wait until wait_fd() is readable (or at most 1 s),
// then poll() again.
class LogFollower {
  public:
    // Fails when dir cannot be watched ("cannot follow logs in /x: No such file or directory").
    static Result<LogFollower> open(const std::string& dir, const std::vector<std::string>& keys,
                                    std::size_t last_n);
    ~LogFollower();
    LogFollower(LogFollower&&) noexcept;
    LogFollower& operator=(LogFollower&&) noexcept;

    Result<std::vector<LogLine>> poll();
    int wait_fd() const; // stays the follower's

  private:
    struct Impl;
    explicit LogFollower(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

// Pure: is there a complete line with a match (anywhere in the line) in the bytes fed so far? Only
// the first kMaxLogLine bytes of a line are looked at. Time is linear whatever the pattern.
class LineMatcher {
  public:
    static Result<LineMatcher> compile(const std::string& pattern);
    ~LineMatcher();
    LineMatcher(LineMatcher&&) noexcept;
    LineMatcher& operator=(LineMatcher&&) noexcept;

    bool feed(std::string_view bytes); // true from the first matching line on
    bool matched() const;

  private:
    struct Impl;
    explicit LineMatcher(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

// ready = log:REGEX: take log_end() before the spawn, then poll() every 100 ms until it says true.
// One call takes about 10 ms at most, so that a unit that talks much does not block the loop.
class LogWatch {
  public:
    LogWatch(std::string dir, std::string key, LogPosition from, LineMatcher matcher);
    Result<bool> poll();

  private:
    LogTail tail_;
    LineMatcher matcher_;
    std::vector<std::string> lines_; // read, the first next_ of them looked at
    std::size_t next_ = 0;
};

} // namespace keepwell
