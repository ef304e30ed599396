// A request target taken apart: "/api/why/web%401?limit=5" -> {"api","why","web@1"}, {limit: "5"}.
//
// Percent-decoding happens once and after the split, so a decoded slash never makes a new segment.
// Pure; nothing throws but bad_alloc.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

struct Target {
    std::vector<std::string> segments;
    std::map<std::string, std::string> query; // the last of several wins
};

// nullopt when it does not begin with `/` or has a broken percent escape.
std::optional<Target> parse_target(std::string_view raw);

// Could this be the name of a unit, check or action? Not when it holds `/`, NUL or `..`.
bool is_name(std::string_view segment) noexcept;

} // namespace keepwell::api
