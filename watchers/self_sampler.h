// sample_self(): what this process itself uses, for the process_* metrics that every program has.
//
// It reads two small files and counts descriptors: off the loop. What cannot be read stays 0
// or unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

struct SelfFigures {
    double cpu_seconds = 0, start_time = 0; // Unix time; 0 = never sampled
    std::uint64_t resident_bytes = 0, virtual_bytes = 0;
    std::optional<std::uint64_t> open_fds, max_fds; // max: none = without limit
};

// The start of this boot in Unix time, of /proc/stat; 0 when it does not say.
double parse_boot_time(std::string_view proc_stat) noexcept;

SelfFigures sample_self(const std::string& proc = "/proc");

} // namespace keepwell
