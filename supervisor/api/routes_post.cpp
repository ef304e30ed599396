#include "supervisor/api/request_body.h"
#include "supervisor/api/routes.h"
#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace keepwell::api {

namespace {

constexpr Duration kLongestReload = std::chrono::seconds(25); // `keepwell reload` waits for 30

Reply json_with(std::string body, int status) {
    Reply reply;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
}

} // namespace

Reply Routes::begin(const ActionRequest& request) {
    if (request.names.empty())
        return fail(400, "bad_request", "cannot act: name at least one service in \"names\"");
    if (request.verb == Verb::Signal && request.signal == 0)
        return fail(400, "bad_request", "cannot send a signal: say which in \"signal\"");
    if (!std::all_of(request.names.begin(), request.names.end(), is_name))
        return fail(404, "unknown_service", "no service has such a name");
    if (auto keys = control_.resolve(request.names); !keys) {
        if (keys.error().code == EINVAL) return fail(400, "bad_request", keys.error().message);
        return fail(404, "unknown_service", keys.error().message);
    }
    auto id = control_.act(request);
    if (!id) return failed(id.error(), "unknown_service");
    return json_with(fmt::format("{{\"action_id\":{}}}", json_quote(*id)), 202);
}

Reply Routes::post_service(const Call& call) {
    const auto verb = parse_verb(call.at(3));
    if (!verb)
        return fail(404, "not_found",
                    fmt::format("no such action: {}; use start, stop, restart, reload, signal, "
                                "check, pause, resume, reset or beat",
                                json_quote(call.at(3))));
    std::vector<std::string_view> allowed;
    if (*verb == Verb::Signal) allowed = {"signal"};
    if (*verb == Verb::Pause) allowed = {"for"};
    if (*verb == Verb::Check) allowed = {"check"};
    const auto body = parse_body(call.request.body, allowed);
    if (!body) return fail(400, "bad_request", body.error().message);
    return begin(ActionRequest{*verb,
                               {call.at(2)},
                               body->signal.value_or(0),
                               body->pause_for,
                               body->check,
                               call.request.peer});
}

Reply Routes::post_beat(const Call& call) {
    if (const auto body = parse_body(call.request.body, {}); !body)
        return fail(400, "bad_request", body.error().message);
    if (const Status taken = control_.beat(call.at(2)); !taken)
        return failed(taken.error(), "unknown_service");
    return json_with("{\"status\":\"success\"}", 200);
}

Reply Routes::post_actions(const Call& call) {
    const auto body = parse_body(call.request.body, {"verb", "names", "signal", "for", "check"});
    if (!body) return fail(400, "bad_request", body.error().message);
    if (!body->verb)
        return fail(400, "bad_request",
                    "cannot act: say what to do in \"verb\" (like \"restart\")");
    return begin(ActionRequest{*body->verb, body->names, body->signal.value_or(0), body->pause_for,
                               body->check, call.request.peer});
}

Reply Routes::post_check(const Call& call) {
    const std::string& name = call.at(2);
    const std::string& check = call.at(3);
    const std::string& what = call.at(4);
    if (what != "run" && what != "enable" && what != "disable")
        return fail(404, "not_found", "no such action: use run, enable or disable");
    if (const auto body = parse_body(call.request.body, {}); !body)
        return fail(400, "bad_request", body.error().message);
    const auto unit = control_.unit(name);
    if (!unit) return unknown_service(name);
    const bool known = std::any_of(unit->checks.begin(), unit->checks.end(),
                                   [&](const CheckView& c) { return c.id == check; });
    if (!known) return unknown_check(unit->key, check);
    if (what == "run")
        return begin(ActionRequest{Verb::Check, {name}, 0, std::nullopt, check, call.request.peer});
    auto result = control_.enable_check(name, check, what == "enable", call.request.peer);
    if (!result) return failed(result.error(), "unknown_check");
    return json_with(std::move(*result), 200);
}

Reply Routes::post_reload(const Call& call) {
    const auto body = parse_body(call.request.body, {"dry_run"});
    if (!body) return fail(400, "bad_request", body.error().message);
    auto result = std::make_shared<std::optional<Result<std::string>>>();
    control_.reload_config(body->dry_run, call.request.peer,
                           [result](Result<std::string> r) { *result = std::move(r); });
    if (*result) return reloaded(std::move(**result));
    Reply later;
    later.wait = Wait{kLongestReload, [result] { return result->has_value(); },
                      [this, result] {
                          if (*result) return reloaded(std::move(**result));
                          return fail(503, "slow",
                                      "cannot say yet how the reload ends: the files are still "
                                      "being read (see keepwell events)");
                      }};
    return later;
}

Reply Routes::reloaded(Result<std::string> result) const {
    if (result) return json_with(std::move(*result), 200);
    // One error a line, as `validate` prints them.
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("status", "error");
    w.member("error", "cannot apply the configuration; the running one is untouched");
    w.member("code", "bad_config");
    w.key("errors").begin_array();
    std::string_view rest = result.error().message;
    while (!rest.empty()) {
        const auto end = std::min(rest.find('\n'), rest.size());
        if (end > 0) w.value(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    w.end_array();
    w.member("timestamp", clock_.wall());
    w.end_object();
    return json_with(std::move(out), 400);
}

Reply Routes::post_shutdown(const Call& call) {
    const auto body = parse_body(call.request.body, {"leave"});
    if (!body) return fail(400, "bad_request", body.error().message);
    if (const auto begun = control_.shutdown(call.request.peer, body->leave); !begun)
        return failed(begun.error(), "not_found");
    return json_with("{\"status\":\"success\"}", 202);
}

Reply Routes::post_upgrade(const Call& call) {
    if (const auto body = parse_body(call.request.body, {}); !body)
        return fail(400, "bad_request", body.error().message);
    if (const auto begun = control_.upgrade(call.request.peer); !begun)
        return failed(begun.error(), "not_found");
    return json_with("{\"status\":\"success\"}", 202);
}

} // namespace keepwell::api
