// Who lives of a unit's tree where it has no cgroup: by descent and by mark, for people to read.
#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace keepwell {

// Ascending. fleet: value of KEEPWELL_FLEET; main: the main process, which may be gone.
std::vector<pid_t> marked_tree(const std::string& unit, const std::string& fleet,
                               std::int64_t main);

} // namespace keepwell
