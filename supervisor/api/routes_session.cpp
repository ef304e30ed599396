// Who one is: login, logout, session.
#include "supervisor/api/access.h"
#include "supervisor/api/request_body.h"
#include "supervisor/api/routes.h"
#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

namespace keepwell::api {

std::optional<Reply> Routes::denied(const Request& request, Scope scope) const {
    const Caller& caller = request.caller;
    const auto counted = [](Reply reply, std::string_view code) {
        reply.refused = code;
        return reply;
    };
    if (caller.retry_after > 0) return counted(too_many(caller.retry_after), "too_many_failures");
    if (caller.scopes.has(scope)) return std::nullopt;
    if (caller.known)
        return counted(
            fail(403, "forbidden",
                 fmt::format("cannot allow that: it needs the scope {} (keepwell token add)",
                             to_string(scope))),
            "forbidden");
    Reply reply =
        fail(401, "unauthorized",
             fmt::format("cannot allow that: it needs a token with the scope {} (keepwell "
                         "token add) or the control socket",
                         to_string(scope)));
    reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"keepwell\"");
    return counted(std::move(reply), "unauthorized");
}

Reply Routes::too_many(std::int64_t seconds) const {
    Reply reply = fail(429, "too_many_failures",
                       "cannot try that token: too many wrong ones from that address; wait");
    reply.headers.emplace_back("Retry-After", std::to_string(seconds));
    return reply;
}

Reply Routes::get_session(const Call& call) {
    const Request& request = call.request;
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    if (request.peer.token.empty())
        w.null_member("name");
    else
        w.member("name", request.peer.token);
    w.member("scopes", request.caller.scopes.names()).member("login", request.caller.may_log_in);
    w.end_object();
    Reply reply;
    reply.body = std::move(out);
    return reply;
}

Reply Routes::post_login(const Call& call) {
    const auto secret = parse_token_body(call.request.body);
    if (!secret) return fail(400, "bad_request", secret.error().message);
    const Access::Login login = access_.login(call.request, *secret);
    if (login.retry_after > 0) return too_many(login.retry_after);
    if (login.session.empty()) {
        Reply reply = fail(401, "unauthorized", "cannot log in: no such token");
        reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"keepwell\"");
        return reply;
    }
    Reply reply;
    reply.status = 204;
    reply.headers.emplace_back("Set-Cookie", access_.cookie(login.session));
    return reply;
}

Reply Routes::post_logout(const Call& call) {
    if (const auto body = parse_body(call.request.body, {}); !body)
        return fail(400, "bad_request", body.error().message);
    access_.logout(call.request);
    Reply reply;
    reply.status = 204;
    reply.headers.emplace_back("Set-Cookie", access_.cookie(""));
    return reply;
}

} // namespace keepwell::api
