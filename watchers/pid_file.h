// Reading a PID file without believing it: which live process it names, if any.
//
// The file must be regular (no symbolic link, FIFO or folder), small, and belong to root or to the
// daemon's user, with nobody else allowed to write it: who may write it decides whom keepwell
// signals (faults 1 to 5). The process must not be older than the file says: one that began after
// the file was written only has the number. A file of somebody else than root names only processes
// of its owner. Reads the file and /proc: off the loop, since the path may hang.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

struct PidFileQuery {
    std::string path;
    std::uint32_t uid = 0;      // of the daemon
    std::int64_t keeper = 0;    // never taken for a daemon, nor is this process
    std::string proc = "/proc"; // for tests
};
struct MainSight {
    std::int64_t pid = 0; // 0 = none
    std::uint64_t start_ticks = 0;
    std::string why;         // why there is none: "no PID file", "names 12, which does not run"
    bool unsettled = false;  // missing, empty or torn: another one may be on its way
    std::string owner;       // the service of systemd that it belongs to; empty = none
    std::uint32_t count = 0; // processes that match; 1 for a PID file that names one
};
// The number on the first line. Further lines may follow (PostgreSQL's do) unless the next one is a
// number too. nullopt: empty, torn or something else.
std::optional<std::int64_t> parse_pid(std::string_view text) noexcept;
MainSight read_pid_file(const PidFileQuery&);

// The service of systemd in whose cgroup the process lives, "postgresql@15-main.service"; empty =
// none, or keepwell's own.
std::string service_of(std::int64_t pid, const std::string& proc = "/proc");

} // namespace keepwell
