// Who listens on a TCP port of this host, and which local ports a unit's checks look at.
//
// find_port_holder reads /proc/net/tcp{,6} and then the descriptors of every process it may look
// at: milliseconds to tens of them on a large host, so call it off the loop. nullopt: nobody
// listens, or the holder cannot be seen.
#pragma once

#include "units/unit_spec.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keepwell {

struct PortHolder {
    std::uint16_t port = 0;
    std::int64_t pid = 0;
    std::string name; // of the process
};

// The sockets that listen on the port, as links of /proc/PID/fd name them.
std::set<std::string> listening_sockets(std::uint16_t port, const std::string& proc = "/proc");
// The first of these processes that holds one of them.
std::optional<PortHolder> holder_among(const std::set<std::string>& sockets, std::uint16_t port,
                                       const std::vector<std::int64_t>& pids,
                                       const std::string& proc = "/proc");
std::optional<PortHolder> find_port_holder(std::uint16_t port, const std::string& proc = "/proc");
std::vector<std::uint16_t>
checked_ports(const UnitSpec&); // of port, tcp and http checks against this host

} // namespace keepwell
