// TreeSampler: what the process trees of all units use, read in one go: CPU, memory, descriptors,
// threads, processes.
//
// Each process is read once a sample, however many units hold it. Trees without a cgroup are found
// by one pass over /proc where that is cheaper than following the children of each. Descriptors are
// counted at every sample where the kernel counts them, else at every sixth (and for new
// processes), since listing them costs more than all the rest. CPU is known from the second sample
// of a unit on; a process that came since the last sample counts whole, one that came and went in
// between is not seen. Off the loop only; one sample at a time.
#pragma once

#include "units/time.h"
#include "watchers/procfs.h"
#include "watchers/tree_sample.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

struct TreeFigures {
    std::vector<std::int64_t> pids; // the main process first; at most kMaxPids
    std::uint64_t count = 0;        // of all its processes
    std::uint64_t memory = 0, threads = 0;
    std::optional<std::uint64_t> fds; // unknown when one of them may not be looked at
    std::optional<double> cpu;        // percent of one core
    // Clock ticks used since the sample before, by the processes that are there now.
    std::uint64_t user_ticks = 0, system_ticks = 0;
};

class TreeSampler {
  public:
    static constexpr std::size_t kMaxPids = 64; // as status.json shows at most
    explicit TreeSampler(std::string proc = "/proc");
    // One for each tree, in their order; count 0 = there is no process. A tree with a cgroup needs
    // no main process.
    std::vector<TreeFigures> sample(std::span<const TreeRef>, Instant now);
    std::uint64_t reads() const { return reads_; } // of /proc/PID/stat until now

  private:
    using Processes = std::unordered_map<std::int64_t, std::optional<ProcessSample>>;
    void decide_scan(std::span<const TreeRef>);
    const ProcessSample* look(std::int64_t pid);
    std::vector<std::int64_t> pids_of(const TreeRef&);
    std::vector<std::int64_t> descendants(std::int64_t pid);
    void children_of(std::int64_t pid, std::vector<std::int64_t>& to) const;
    std::optional<std::uint64_t> fds_of(std::int64_t pid, const ProcessSample&);
    TreeFigures figures_of(const TreeRef&);

    Procfs proc_;
    Processes now_, before_;
    double seconds_ = 0; // between the two
    std::uint64_t newest_before_ = 0;
    std::optional<Instant> at_;
    bool scan_ = false, list_fds_ = true;
    std::vector<std::pair<std::int64_t, std::int64_t>> by_parent_; // parent, pid; only in a scan
    std::size_t followed_ = 0; // processes found by ancestry in the last sample
    std::uint64_t round_ = 0, reads_ = 0;
};

} // namespace keepwell
