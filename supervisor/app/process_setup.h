// What the supervisor's process is set to before anything else: its log and its memory.
#pragma once

#include <string>

namespace keepwell {

std::string host_name();                   // "unknown" when the system does not say
void set_up_log(const std::string& level); // to stderr, a line with its time each
void keep_memory_small();

} // namespace keepwell
