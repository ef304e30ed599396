// Who listens on a TCP port of this host, and which local ports a unit's checks look at.
//
// find_port_holder reads /proc/net/tcp{,6} and then the descriptors of every process it may look
// at: milliseconds to tens of them on a large host, so call it off the loop. nullopt: nobody
// listens, or the holder cannot be seen.
#pragma once

#include "units/unit_spec.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

struct PortHolder {
    std::uint16_t port = 0;
    std::int64_t pid = 0;
    std::string name; // of the process
};

std::optional<PortHolder> find_port_holder(std::uint16_t port, const std::string& proc = "/proc");
std::vector<std::uint16_t>
checked_ports(const UnitSpec&); // of tcp and http checks against this host

} // namespace keepwell
