// FollowQuestion: which lines somebody wants to follow, and where he was. A plain value.
#pragma once

#include "supervisor/feeds/line_text.h"

#include <cstddef>
#include <string>

namespace keepwell::feeds {

struct FollowQuestion {
    std::string type; // all, errors or a unit's name
    LineFilter filter;
    std::string filter_text;  // the same filter, the same text
    std::size_t lines = 10;   // of what is there already
    std::string last_id = {}; // of an event; empty = anew
};

} // namespace keepwell::feeds
