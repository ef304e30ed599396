// Reads what /proc says of single processes: figures, and which processes descend from one.
//
// The root is injectable. Parsers are pure and take any bytes; readers never throw for what they
// find: a process that is gone (or hidden) is nullopt, never an error. One sample costs one open,
// read and close; open_fds costs one call more where the kernel counts (Linux 6.2), else a listing
// of a folder, which needs the right to look.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

struct ProcStat { // the fields of /proc/PID/stat that matter; ticks are clock ticks
    std::int64_t pid = 0;
    std::string name; // may hold any byte but NUL
    char state = '?';
    std::int64_t parent = 0, group = 0, session = 0;
    std::uint64_t user_ticks = 0, system_ticks = 0;
    std::uint64_t threads = 0;
    std::uint64_t start_ticks = 0; // since boot; with the pid it names one process
    std::uint64_t virtual_bytes = 0, rss_pages = 0;
};
std::optional<ProcStat> parse_stat(std::string_view text);

struct ProcessSample {
    std::uint64_t cpu_ticks = 0;    // user and system
    std::uint64_t system_ticks = 0; // of them
    std::uint64_t rss_bytes = 0;
    std::uint64_t threads = 0;
    std::uint64_t start_ticks = 0;
    std::int64_t parent = 0;
    char state = '?';
    std::optional<std::uint64_t> open_fds; // only when asked for and allowed
};

class Procfs {
  public:
    explicit Procfs(std::string root = "/proc");

    std::optional<ProcStat> stat(std::int64_t pid) const;
    std::optional<ProcessSample> sample_process(std::int64_t pid, bool count_fds = false) const;

    std::optional<std::uint64_t> count_fds(std::int64_t pid) const;
    bool fds_are_cheap() const; // the kernel counts them

    // Every process, in no order.
    std::vector<std::int64_t> all() const;
    // The children of every thread of the process, appended.
    void children(std::int64_t pid, std::vector<std::int64_t>& to) const;
    bool lists_children(std::int64_t pid) const; // not without CONFIG_PROC_CHILDREN

    // The process and everything that descends from it, parents first, at most `limit`. A moving
    // target: what forks or ends meanwhile may be missed. Empty when the process is gone.
    std::vector<std::int64_t> tree(std::int64_t pid, std::size_t limit = 1024) const;

  private:
    std::vector<std::int64_t> tree_by_scan(std::int64_t pid, std::size_t limit) const;

    std::string root_;
};

// Clock ticks in a second (sysconf).
double ticks_per_second() noexcept;

// Share of one core in percent that `before` -> `after` used within `seconds`; 0 when they are not
// two samples of the same process.
double cpu_percent(const ProcessSample& before, const ProcessSample& after,
                   double seconds) noexcept;

} // namespace keepwell
