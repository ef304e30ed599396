// Port: what a unit's log says since it was looked at last.
//
// open() is called on the loop and notes where the log ends then; look() reads files and may block,
// so off the loop only, one call at a time, each from any thread. It goes on where the last one
// ended, follows rotation and reads a bounded amount: what came beyond it is skipped and said.
#pragma once
#include "units/time.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
namespace keepwell {
struct LogQuestion { // regular expressions; empty = not asked
    std::string key; // of the unit
    std::string bad, good;
};
struct LogFindings {
    std::string error;               // the log cannot be read; empty = it was
    std::uint64_t bad_lines = 0;     // that match
    std::string first_bad;           // raw bytes, secrets already hidden
    bool good = false;               // a line matched
    std::optional<WallTime> good_at; // when the last one was written, where that is known
    std::uint64_t skipped_after = 0; // not 0: more than these bytes came, the rest was skipped
};
class LogScan {
  public:
    virtual ~LogScan() = default;
    virtual LogFindings look() = 0;
};
class LogScans {
  public:
    virtual ~LogScans() = default;
    virtual std::shared_ptr<LogScan> open(const LogQuestion&) = 0; // never nullptr
};
} // namespace keepwell
