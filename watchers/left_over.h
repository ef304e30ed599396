// Whether a process that holds a port is a left-over of one unit. Reads /proc: off the loop only.
#pragma once

#include "watchers/port_holder.h"
#include "watchers/tree_sample.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

struct LeftOverQuery {
    std::vector<std::uint16_t> ports;
    std::string unit;      // what its processes carry as KEEPWELL_UNIT
    std::string fleet;     // and as KEEPWELL_FLEET
    std::uint32_t uid = 0; // as whom they run: the mark of another user's process proves nothing
    TreeRef tree;          // what lives now and shall stay
    std::uint64_t asked_ticks = ~0ULL; // since boot: what started later is the next instance
};
struct LeftOver {
    PortHolder holder;
    std::uint64_t start_ticks = 0;
    bool ours = false; // of this unit, from before its present start
};

// The first that holds one of the ports and is not of the unit's present tree.
std::optional<LeftOver> find_left_over(const LeftOverQuery&, const std::string& proc = "/proc");

} // namespace keepwell
