#include "watchers/health_page.h"

#include "watchers/check_scheduler.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

namespace keepwell {

namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 5> kKept = {"status", "project", "version", "uptime",
                                                   "workflows"};
constexpr std::size_t kText = 200;
constexpr std::size_t kEntries = 32;

std::optional<Json> scalar(const Json& value) {
    if (value.is_string()) return Json(clean_text(value.get_ref<const std::string&>(), kText));
    if (value.is_boolean() || value.is_number()) return value;
    return std::nullopt;
}

std::optional<Json> kept(const Json& value) {
    if (!value.is_array()) return scalar(value);
    Json list = Json::array();
    for (const Json& item : value) {
        if (list.size() == kEntries) break;
        if (auto one = scalar(item)) list.push_back(std::move(*one));
    }
    return list;
}

// What no one asks for is dropped while it is read, so a large page costs no memory.
bool wanted(int depth, Json::parse_event_t event, const Json& parsed) {
    if (depth != 1 || event != Json::parse_event_t::key) return true;
    return std::ranges::find(kKept, parsed.get_ref<const std::string&>()) != kKept.end();
}

Reported read_report(std::string_view body) {
    const Json page = Json::parse(body, wanted, false);
    if (!page.is_object()) return {};
    nlohmann::ordered_json out;
    Reported reported;
    for (const std::string_view key : kKept) {
        const auto found = page.find(std::string(key));
        if (found == page.end()) continue;
        auto value = kept(*found);
        if (!value) continue;
        nlohmann::ordered_json longer = out;
        longer[std::string(key)] = *value;
        const std::string text = longer.dump(-1, ' ', false, Json::error_handler_t::replace);
        if (text.size() > kLongestReport) continue;
        out = std::move(longer);
        reported.json = text;
        if (key != "uptime" || !value->is_number()) continue;
        const double uptime = value->get<double>();
        if (std::isfinite(uptime) && uptime >= 0) reported.uptime_s = uptime;
    }
    return reported;
}

} // namespace

Reported reported_of(std::string_view body) noexcept {
    try {
        const auto begin = body.find_first_not_of(" \t\r\n");
        if (begin == std::string_view::npos || body[begin] != '{') return {};
        return read_report(body);
    } catch (const std::exception&) {
        return {};
    }
}

} // namespace keepwell
