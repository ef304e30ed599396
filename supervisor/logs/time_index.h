// When the bytes of a log file were written: FILE.idx beside it, a list of (offset, time), at most
// one every 100 ms. A missing, torn or foreign one only means that times are not known.
//
// The list stays small whatever comes: after each 32,768 entries the least distance doubles, so the
// times are right to one part in some ten thousands of the file's age. It says which inode it is
// about, so one that belongs to another file is ignored. Nothing throws but for want of memory.
#pragma once

#include "supervisor/logs/fd.h"

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

std::string index_path(const std::string& log_file);

class TimeIndexWriter {
  public:
    // Bytes from `offset` on were written just now. Opens the list at need. `now`: monotonic, ms.
    void mark(const std::string& log_file, ino_t inode, std::uint64_t offset, std::int64_t now);
    void close();

  private:
    bool open(const std::string& log_file, ino_t inode, std::uint64_t offset);

    Fd file_;
    std::uint64_t count_ = 0;
    std::int64_t next_at_ = 0; // monotonic, ms; no entry before
};

struct TimeMark {
    std::uint64_t offset = 0;
    std::int64_t unix_ms = 0;
};

class TimeIndex { // what is in a list; reads on when it has grown
  public:
    TimeIndex() = default; // of a file without one
    TimeIndex(const std::string& log_file, std::uint64_t inode);
    std::optional<std::int64_t> time_at(std::uint64_t offset); // unix, ms
    const std::vector<TimeMark>& marks() const { return marks_; }

  private:
    void read_on();

    Fd file_;
    std::vector<TimeMark> marks_;
};

} // namespace keepwell
