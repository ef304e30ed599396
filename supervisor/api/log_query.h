// The query of /api/logs and /api/logs/stream, taken apart. Unknown words and numbers out of range
// are errors that say what is allowed; unknown parameters are passed over. Pure but for `now`.
#pragma once

#include "supervisor/api/target.h"
#include "supervisor/feeds/log_page.h"
#include "units/result.h"
#include "units/time.h"

#include <string>

namespace keepwell::api {

struct LogRequest {
    std::string type = "all";
    feeds::LogQuestion question;
    bool text = false; // format=text
};

inline constexpr std::size_t kMostLogLines = 1000;

Result<LogRequest> parse_log_request(const Target&, WallTime now, std::size_t default_lines);

} // namespace keepwell::api
