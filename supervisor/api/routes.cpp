#include "supervisor/api/routes.h"

#include "supervisor/api/query.h"
#include "supervisor/api/request_body.h"
#include "supervisor/status/json_writer.h"
#include "supervisor/status/status_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace keepwell::api {

namespace {

constexpr std::uint64_t kMostEvents = 10'000;
constexpr std::uint64_t kLongestWait = 30;
constexpr std::array<std::string_view, 2> kFormats{"json", "text"};
constexpr std::array<std::string_view, 2> kSwitch{"0", "1"};

Reply json_reply(std::string body, int status = 200) {
    Reply reply;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
}

bool matches(std::string_view pattern, const std::vector<std::string>& segments) {
    for (const auto& segment : segments) {
        const auto slash = pattern.find('/');
        const auto part = pattern.substr(0, slash);
        if (part != "*" ? part != segment : !is_name(segment)) return false;
        if (slash == std::string_view::npos) return &segment == &segments.back();
        pattern.remove_prefix(slash + 1);
    }
    return false;
}

} // namespace

const std::vector<Routes::Route>& Routes::table() {
    static const std::vector<Route> routes = {
        {"GET", "api/status", Scope::Read, &Routes::get_status},
        {"GET", "api/status/daemons", Scope::Read, &Routes::get_daemons},
        {"GET", "api/status/daemon/*", Scope::Read, &Routes::get_daemon},
        {"GET", "api/health", Scope::Open, &Routes::get_supervisor_health},
        {"GET", "api/health/live", Scope::Open, &Routes::get_supervisor_health},
        {"GET", "api/health/ready", Scope::Open, &Routes::get_ready},
        {"GET", "health", Scope::Read, &Routes::get_health},
        {"GET", "api/checks", Scope::Read, &Routes::get_checks},
        {"GET", "api/why/*", Scope::Read, &Routes::get_why},
        {"GET", "api/explain/*", Scope::Read, &Routes::get_explain},
        {"GET", "api/events", Scope::Read, &Routes::get_events},
        {"GET", "api/runtime", Scope::Control, &Routes::get_runtime},
        {"GET", "api/actions/*", Scope::Read, &Routes::get_action},
        {"GET", "metrics", Scope::Metrics, &Routes::get_metrics},
        {"POST", "api/actions", Scope::Control, &Routes::post_actions},
        {"POST", "api/services/*/beat", Scope::Heartbeat, &Routes::post_beat},
        {"POST", "api/services/*/*", Scope::Control, &Routes::post_service},
        {"POST", "api/checks/*/*/*", Scope::Control, &Routes::post_check},
        {"POST", "api/config/reload", Scope::Control, &Routes::post_reload},
        {"POST", "api/shutdown", Scope::Control, &Routes::post_shutdown},
        {"POST", "api/upgrade", Scope::Control, &Routes::post_upgrade},
        {"GET", "api", Scope::Open, &Routes::get_routes},
        {"GET", "api/alerts", Scope::Read, &Routes::get_alerts},
        {"GET", "api/alerts/history", Scope::Read, &Routes::get_alerts},
        {"POST", "api/alerts/*/*", Scope::Control, &Routes::post_alert},
        {"POST", "api/heartbeat/*", Scope::Heartbeat, &Routes::post_beat},
        {"GET", "api/fleet", Scope::Read, &Routes::get_fleet},
        {"GET", "api/fleet/targets", Scope::Read, &Routes::get_fleet_targets},
        {"GET", "api/history/*", Scope::Read, &Routes::get_history},
        {"GET", "api/session", Scope::Open, &Routes::get_session},
        {"POST", "api/login", Scope::Open, &Routes::post_login},
        {"POST", "api/logout", Scope::Open, &Routes::post_logout},
        {"GET", "api/logs", Scope::Logs, &Routes::get_logs},
        {"GET", "api/logs/stream", Scope::Logs, &Routes::get_log_stream},
        {"GET", "api/events/stream", Scope::Read, &Routes::get_event_stream},
    };
    return routes;
}

Reply Routes::handle(const Request& request) {
    const auto target = parse_target(request.target);
    if (target) return dispatch(Call{request, *target});
    if (!request.target.starts_with('/'))
        return fail(400, "bad_request",
                    "cannot read the target: it does not begin with /; ask for the path alone "
                    "(like /api/status), without scheme and host");
    return fail(400, "bad_request",
                "cannot read the path: broken percent escape; write a % itself as %25");
}

std::optional<Routes::Found> Routes::find(const Request& request) {
    const auto target = parse_target(request.target);
    if (!target) return std::nullopt;
    const std::string_view method = request.method == "POST" ? "POST" : "GET";
    for (const auto& route : table())
        if (route.method == method && matches(route.pattern, target->segments))
            return Found{route.pattern, route.scope};
    return std::nullopt;
}

Reply Routes::dispatch(const Call& call) {
    const std::string_view method = call.request.method == "POST" ? "POST" : "GET";
    const Route* other = nullptr;
    for (const auto& route : table()) {
        if (!matches(route.pattern, call.target.segments)) continue;
        other = &route;
        if (route.method != method) continue;
        auto refused = denied(call.request, route.scope);
        Reply reply = refused ? std::move(*refused) : (this->*route.handler)(call);
        reply.handler = route.pattern;
        return reply;
    }
    if (other == nullptr && method == "GET")
        if (auto file = files_.find(call.request, call.target.segments)) return *file;
    if (other == nullptr)
        return fail(404, "not_found", "cannot find that path; docs/api.md lists them all");
    const bool post = other->method == "POST";
    Reply reply =
        fail(405, "method_not_allowed",
             fmt::format("cannot {} that path; use {}", post ? "read" : "change", other->method));
    reply.headers.emplace_back("Allow", post ? "POST" : "GET, HEAD");
    return reply;
}

Reply Routes::error(int status, std::string_view code, std::string_view message, WallTime now) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("status", "error");
    w.member("error", message);
    w.member("code", code);
    w.member("timestamp", now);
    w.end_object();
    return json_reply(std::move(out), status);
}

Reply Routes::fail(int status, std::string_view code, std::string_view message) const {
    return error(status, code, message, clock_.wall());
}

Reply Routes::unknown_service(const std::string& name) const {
    return fail(
        404, "unknown_service",
        fmt::format("no service is named {}; keepwell status lists them", json_quote(name)));
}

Reply Routes::unknown_check(const std::string& unit, const std::string& check) const {
    return fail(404, "unknown_check",
                fmt::format("{} has no check named {}; keepwell checks lists them", unit,
                            json_quote(check)));
}

Reply Routes::failed(const Error& e, std::string_view code_404) const {
    if (e.code == ENOENT) return fail(404, code_404, e.message);
    if (e.code == EINVAL) return fail(400, "bad_request", e.message);
    return fail(409, "conflict", e.message);
}

Reply Routes::document(Result<std::string> result) const {
    if (!result) return failed(result.error(), "unknown_service");
    return json_reply(std::move(*result));
}

Reply Routes::success(std::string_view data) const {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("status", "success");
    w.raw_member("data", data);
    w.member("timestamp", clock_.wall());
    w.end_object();
    return json_reply(std::move(out));
}

// What docs/openapi.yaml describes, for people and for the test that compares the two.
Reply Routes::get_routes(const Call&) {
    Reply reply;
    JsonWriter w(reply.body);
    w.begin_object();
    w.key("routes").begin_array();
    for (const auto& route : table()) {
        w.begin_object();
        w.member("method", route.method);
        w.member("path", "/" + std::string(route.pattern));
        w.member("scope", to_string(route.scope));
        w.end_object();
    }
    w.end_array().end_object();
    return reply;
}

Reply Routes::get_daemons(const Call&) {
    const auto units = control_.units();
    return success(daemons_json(units, clock_.wall(), control_.supervisor().health_threshold));
}

Reply Routes::get_daemon(const Call& call) {
    const auto unit = control_.unit(call.at(3));
    if (!unit) return unknown_service(call.at(3));
    const auto format = one_of(call.target, "format", kFormats);
    if (!format) return fail(400, "bad_request", use_one_of("format", kFormats));
    if (*format != "text") return success(daemon_json(*unit, clock_.wall()));
    Reply reply = json_reply(unit->ok ? "OK\n" : "NOT_OK\n");
    reply.content_type = "text/plain; charset=utf-8";
    return reply;
}

Reply Routes::health_of_supervisor(bool ready) const {
    const SupervisorSnapshot s = control_.supervisor();
    const WallTime now = clock_.wall();
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("status", ready ? "healthy" : "unknown");
    w.member("timestamp", now);
    w.member("version", s.version);
    const std::int64_t up = s.started_at.ms == 0 ? 0 : (now.ms - s.started_at.ms) / 1000;
    w.member("uptime_s", std::max<std::int64_t>(0, up));
    w.end_object();
    return json_reply(std::move(out), ready ? 200 : 503);
}

// Who answers is alive: the loop runs.
Reply Routes::get_supervisor_health(const Call&) { return health_of_supervisor(true); }

// Ready once its units are known.
Reply Routes::get_ready(const Call&) {
    return health_of_supervisor(control_.supervisor().started_at.ms != 0);
}

Reply Routes::get_health(const Call& call) {
    const auto strict = one_of(call.target, "strict", kSwitch);
    if (!strict) return fail(400, "bad_request", use_one_of("strict", kSwitch));
    const auto units = control_.units();
    Reply reply = json_reply(health_json(units, control_.supervisor()));
    if (*strict == "1" && overall_status(units) != "healthy") reply.status = 503;
    return reply;
}

Reply Routes::get_checks(const Call&) { return json_reply(checks_json(control_.units())); }

Reply Routes::get_why(const Call& call) {
    if (!control_.unit(call.at(2))) return unknown_service(call.at(2));
    return document(control_.why_json(call.at(2)));
}

Reply Routes::get_explain(const Call& call) {
    if (!control_.unit(call.at(2))) return unknown_service(call.at(2));
    return document(control_.explain_json(call.at(2)));
}

Reply Routes::get_events(const Call& call) {
    if (call.target.query.count("since_time") != 0) return get_past_events(call);
    const auto since = number_of(call.target, "since", 0);
    const auto limit = number_of(call.target, "limit", 1000);
    const auto wait = number_of(call.target, "wait", 0);
    if (!since || !limit || !wait)
        return fail(400, "bad_request", "cannot read since, limit or wait: not a number");
    const auto most = static_cast<std::size_t>(std::min(*limit, kMostEvents));
    const auto first = [this, since = *since, few = std::min<std::size_t>(most, 1)] {
        return control_.events_json(since, few); // all of them are made only once there is one
    };
    if (*wait > 0 && !call.request.waited) {
        if (std::string events = first(); has_no_events(events)) {
            Reply later;
            later.wait = Wait{std::chrono::seconds(std::min(*wait, kLongestWait)),
                              [first, events = std::move(events)] { return first() != events; }};
            return later;
        }
    }
    return json_reply(control_.events_json(*since, most));
}

Reply Routes::get_runtime(const Call&) { return json_reply(control_.runtime_json()); }

Reply Routes::get_action(const Call& call) {
    const std::string& id = call.at(2);
    const auto wait = number_of(call.target, "wait", 0);
    if (!wait) return fail(400, "bad_request", "cannot read wait: not a number of seconds");
    const auto action = control_.action(id);
    if (!action)
        return fail(404, "unknown_action",
                    fmt::format("no action has the id {}; finished ones are kept for a while only",
                                json_quote(id)));
    std::string body = action_json(*action);
    const std::string etag = etag_of(body);
    const std::string& seen = call.request.if_none_match;
    const bool news = action->finished || (!seen.empty() && !etag_matches(seen, etag));
    if (*wait > 0 && !call.request.waited && !news) {
        Reply later;
        later.wait = Wait{std::chrono::seconds(std::min(*wait, kLongestWait)),
                          [this, id, body = std::move(body)] {
                              const auto now = control_.action(id);
                              return !now || action_json(*now) != body;
                          }};
        return later;
    }
    Reply reply = json_reply(std::move(body));
    reply.headers.emplace_back("ETag", etag);
    return reply;
}

} // namespace keepwell::api
