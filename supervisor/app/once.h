// Once: every check of a configuration run one time by this process, without a running supervisor.
//
// The document is that of status.json with mode "development_fallback". A unit's verdict is what
// its checks say now, one failure counts; who keeps the process and whether it lives is not known
// here, so the state of everything but external units is "unknown", and so is the verdict of a unit
// without checks. Nothing is started, stopped or healed. Blocks until the slowest check is over.
#pragma once

#include "supervisor/config/config.h"

#include <string>

namespace keepwell {

std::string check_once(const Configuration&);

} // namespace keepwell
