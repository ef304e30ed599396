// A unit's history for people: one line that sums it up, a bar of the whole range and a table of a
// dozen rows. Pure, see render.h. In a pipe the bar is ASCII and nothing is cut.
#pragma once

#include "supervisor/cli/json_doc.h"
#include "supervisor/cli/text.h"

#include <cstdint>
#include <string>

namespace keepwell::cli {

std::string render_history(const Json& history, const Style&);
std::string rfc3339_text(std::int64_t ms); // "2026-11-22T12:30:00.250Z"

} // namespace keepwell::cli
