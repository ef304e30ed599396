// Which limits of a configuration this host would not enforce, as seen from the caller's cgroup.
#pragma once

#include "supervisor/config/config.h"

#include <string>
#include <vector>

namespace keepwell::cli {

// "site.toml:14:12: unit.web.limits.memory is not enforced here: no delegated memory controller"
std::vector<std::string> unenforced_limits(const Configuration&);

} // namespace keepwell::cli
