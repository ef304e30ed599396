// What the whole process tree of a unit uses, as one sample: CPU, memory, descriptors, threads.
//
// Reads /proc (and the unit's cgroup where it has one): off the loop only. Two samples give the CPU
// share of the processes that are in both; memory is the sum of the resident sets, so pages that
// processes share count once for each.
#pragma once

#include "units/time.h"
#include "watchers/procfs.h"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

struct TreeRef {          // how to find the processes of a unit
    std::int64_t pid = 0; // the main process; 0 = none
    std::string cgroup;   // folder of the unit's own cgroup; empty = by ancestry
};

struct TreeSample {
    Instant at{};
    std::vector<std::int64_t> pids; // the main process first
    std::uint64_t memory = 0, threads = 0;
    std::optional<std::uint64_t> fds; // unknown when one of them may not be looked at
    std::optional<double> cpu;        // percent of one core; unknown without a sample before
    std::unordered_map<std::int64_t, ProcessSample> processes;
};

// The processes of a cgroup and of those within it; nullopt when it cannot be read.
std::optional<std::vector<std::int64_t>> cgroup_pids(const std::string& folder, std::size_t limit);

// Every process of the tree, at most `limit`.
std::vector<std::int64_t> tree_pids(const Procfs&, const TreeRef&, std::size_t limit = 4096);

TreeSample sample_tree(const Procfs&, const TreeRef&, Instant now, const TreeSample* before);

} // namespace keepwell
