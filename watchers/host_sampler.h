// HostSampler: the host's figures for status.json from /proc and the root file system.
//
// Each sample() reads four small files and asks for the space behind each path: off the loop only,
// since a network file system may block. What cannot be read stays zero. The CPU share is that of
// the time since the previous sample (since boot for the first one).
#pragma once

#include "units/snapshot.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

struct CpuTimes { // clock ticks of all cores since boot
    std::uint64_t busy = 0, total = 0;
    std::uint32_t cores = 0;
};
CpuTimes parse_cpu(std::string_view proc_stat) noexcept;
void parse_load(std::string_view loadavg, HostMetrics&) noexcept;
void parse_memory(std::string_view meminfo, HostMetrics&) noexcept;
void parse_network(std::string_view net_dev, HostMetrics&) noexcept; // all interfaces but lo

class HostSampler {
  public:
    explicit HostSampler(std::string root = "/proc");
    HostMetrics sample(const std::vector<std::string>& disks = {"/"});

  private:
    std::string root_;
    CpuTimes last_;
};

} // namespace keepwell
