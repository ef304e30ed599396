// Which daemons of a configuration belong to services of systemd, as seen on this host now.
#pragma once

#include "supervisor/config/config.h"

#include <string>
#include <vector>

namespace keepwell::cli {

// "unit.web: its daemon (pid 123) belongs to db.service of systemd, which starts and stops it; …"
std::vector<std::string> services_of_daemons(const Configuration&);

} // namespace keepwell::cli
