// What a supervisor's process is set up with before it begins: its log, its use of memory; and the
// name of the host that it runs on.
#pragma once

#include <string>

namespace keepwell {

std::string host_name();                   // "unknown" when nobody can say
void set_up_log(const std::string& level); // to stderr
// Threads that allocate little share one arena, and what is large for a moment (documents, a
// configuration) goes back to the system instead of leaving holes.
void keep_memory_small();
void forget_start(); // gives back what only the start needed

} // namespace keepwell
