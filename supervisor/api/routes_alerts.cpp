// Alerts. Nothing evaluates alert rules yet: the lists are empty, "evaluated" says why, and no id
// is known. What is asked is read and refused as it will be when there are some.
#include "supervisor/api/query.h"
#include "supervisor/api/request_body.h"
#include "supervisor/api/routes.h"
#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <array>

namespace keepwell::api {

namespace {

constexpr std::array<std::string_view, 5> kSeverities{"", "info", "warning", "error", "critical"};
constexpr std::array<std::string_view, 4> kStates{"", "pending", "firing", "resolved"};

} // namespace

// Both lists take the same filters.
Reply Routes::get_alerts(const Call& call) {
    if (!one_of(call.target, "severity", kSeverities))
        return fail(400, "bad_request", use_one_of("severity", kSeverities));
    if (!one_of(call.target, "state", kStates))
        return fail(400, "bad_request", use_one_of("state", kStates));
    const auto service = call.target.query.find("service");
    if (service != call.target.query.end() && !control_.unit(service->second))
        return unknown_service(service->second);
    Reply reply;
    JsonWriter w(reply.body);
    w.begin_object();
    w.key("alerts").begin_array().end_array();
    w.member("evaluated", false);
    w.end_object();
    return reply;
}

Reply Routes::post_alert(const Call& call) {
    const std::string& id = call.at(2);
    const std::string& what = call.at(3);
    if (what != "ack" && what != "silence")
        return fail(404, "not_found", "no such action: use ack or silence");
    const std::vector<std::string_view> allowed =
        what == "silence" ? std::vector<std::string_view>{"for"} : std::vector<std::string_view>{};
    if (const auto body = parse_body(call.request.body, allowed); !body)
        return fail(400, "bad_request", body.error().message);
    return fail(404, "unknown_alert",
                fmt::format("no alert has the id {}; GET /api/alerts lists them", json_quote(id)));
}

} // namespace keepwell::api
