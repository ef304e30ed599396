// The body of GET /api/runtime: where the supervisor keeps things and how an upgrade goes.
#pragma once

#include "supervisor/app/fleet.h"
#include "supervisor/config/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace keepwell {

struct RuntimeFacts {
    const LoadResult& loaded; // its supervisor settings and where they were read
    const Fleet& fleet;
    std::int64_t keeper_pid = 0;
    WallTime started_at;
    std::vector<std::string> listen; // addresses that are open
    bool safe = false;
    bool upgrading = false;
    const std::string& upgrade_error;
    const std::string& note;
};

std::string runtime_json(const RuntimeFacts&);

} // namespace keepwell
