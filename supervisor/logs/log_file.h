// One log file of one unit: takes bytes from a pipe by splice, rotates at line ends, survives
// errors.
//
// The file is opened at the first byte (no O_APPEND: splice refuses it), must be a regular file and
// no symbolic link, and is made anew, with its directory, when somebody removed it. take() moves
// page references from the pipe to the file; no byte is ever in this process' memory alone. After
// an error it is failing() until retry() finds it writable again. Times are milliseconds of one
// monotonic clock. Belongs to one thread; nothing throws but for want of memory.
#pragma once

#include "supervisor/logs/fd.h"
#include "supervisor/logs/line_finder.h"
#include "supervisor/logs/time_index.h"
#include "units/unit_spec.h"

#include <sys/types.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace keepwell {

class LogFile {
  public:
    LogFile(std::string directory, std::string key, LineFinder& finder);

    // Until the first call there is no limit of size.
    void configure(const LogSpec& spec);

    // Moves up to `bytes` bytes; returns how many. Fewer: the pipe is empty, or failing().
    std::size_t take(int pipe, std::size_t bytes, std::int64_t now);

    bool failing() const { return health_ == Health::Failing; }
    bool take_rotated() { return std::exchange(rotated_lately_, false); } // since the last call
    // What failed last; empty = nothing, or not any more.
    const std::string& error() const { return error_; }
    // Needs retry() at retry_at().
    bool troubled() const { return health_ != Health::Fine; }
    std::int64_t retry_at() const { return retry_at_; }
    void retry(std::int64_t now);

  private:
    // Probing: opened again after an error, but nothing was written yet.
    enum class Health { Fine, Failing, Probing };
    struct Portion {
        std::size_t bytes;
        bool rotate_after;
    };

    bool ensure_open(std::int64_t now);
    int open_file() const; // errno in negative, else the descriptor
    void check_place(std::int64_t now);
    Portion next_portion(int pipe, std::size_t bytes);
    std::uint64_t room() const { return max_size_ > size() ? max_size_ - size() : 0; }
    std::uint64_t size() const { return static_cast<std::uint64_t>(offset_); }
    bool at_line_start() const;
    void rotate(std::int64_t now);
    int rename_to_next();
    void delete_old();
    void fail(std::int64_t now, const char* verb, int error);
    void forget_file();

    std::string directory_;
    std::string path_;
    std::string key_;
    LineFinder& finder_;
    std::uint64_t max_size_ = std::numeric_limits<std::uint64_t>::max();
    std::size_t keep_ = 0;

    Fd file_;
    TimeIndexWriter times_;
    loff_t offset_ = 0;
    dev_t device_ = 0;
    ino_t inode_ = 0;
    std::uint64_t overshoot_ = 0; // bytes of a line without end that went beyond max_size
    std::int64_t checked_at_ = 0;
    std::int64_t rotate_again_at_ = 0;

    std::vector<std::uint64_t> rotated_;
    bool listed_ = false;
    bool rotated_lately_ = false;

    Health health_ = Health::Fine;
    std::string error_;
    std::int64_t retry_at_ = 0;
};

} // namespace keepwell
