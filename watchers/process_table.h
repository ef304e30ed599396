// ProcessTable: every process of the host with its name and command line, read at most once a
// second for all who ask.
//
// Reading costs two small files a process: off the loop only. Safe from several threads. Kernel
// threads, zombies and keepwell's own processes are left out.
#pragma once

#include "units/time.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

struct ProcessEntry {
    std::int64_t pid = 0;
    std::string name;         // at most 15 bytes, as the kernel keeps it
    std::string program;      // last part of the first argument
    std::string command_line; // arguments joined by blanks; the name where there are none
};

// With * or ? a glob over the whole name, program or command line, else a part of name or command
// line; upper and lower case are the same.
bool matches(const ProcessEntry&, const std::string& pattern);

class ProcessTable {
  public:
    using Entries = std::shared_ptr<const std::vector<ProcessEntry>>;
    explicit ProcessTable(std::string proc = "/proc");
    Entries entries(Instant now);
    std::uint64_t scans() const; // how often /proc was read

  private:
    std::string proc_;
    mutable std::mutex mutex_;
    Entries last_;
    std::optional<Instant> read_at_;
    std::uint64_t scans_ = 0;
};

} // namespace keepwell
