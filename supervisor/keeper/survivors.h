// Who lives of a unit's tree, for people to read: by its cgroup, else by descent and by mark.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace keepwell {

std::vector<pid_t>
leaf_tree(const std::string& path); // of the cgroup; empty when it cannot be read
// Ascending. fleet: value of KEEPWELL_FLEET; main: the main process, which may be gone.
std::vector<pid_t> marked_tree(const std::string& unit, const std::string& fleet,
                               std::int64_t main);

} // namespace keepwell
