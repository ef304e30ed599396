// Short texts for results, besides those that check_scheduler.h offers to everybody.
//
// Everything returned is valid UTF-8 without control characters. Nothing throws but bad_alloc.
#pragma once

#include "units/time.h"

#include <string>
#include <string_view>

namespace keepwell {

// "840ms", "1.8s", "5s", "90s": cut off, never rounded up.
std::string short_duration(Duration);

// The last line that has visible text, cleaned; empty when there is none.
std::string last_line(std::string_view output, std::size_t limit = 200);

// The host of a URL without user info, port and brackets: "shop.example", "::1".
std::string url_host(const std::string& url);

} // namespace keepwell
