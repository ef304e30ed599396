#include "supervisor/api/access.h"

#include <strings.h>

namespace keepwell::api {

namespace {

constexpr std::string_view kBearer = "Bearer ";

std::optional<std::string_view> bearer_of(const Request& request) {
    const std::string_view header = request.authorization;
    if (header.empty()) return std::nullopt;
    if (header.size() < kBearer.size() ||
        ::strncasecmp(header.data(), kBearer.data(), kBearer.size()) != 0)
        return std::string_view(); // another scheme: no token of ours
    return header.substr(kBearer.size());
}

} // namespace

void Access::identify(Request& request, Scopes anonymous) {
    Caller& caller = request.caller;
    caller.scopes = anonymous;
    caller.may_log_in = true;
    const Instant now = clock_.now();
    const bool presents_one = bearer_of(request).has_value();
    if (presents_one) {
        caller.retry_after = limit_.wait_s(request.peer.address, now);
        if (caller.retry_after > 0) return;
    }
    const Token* const token = token_of(request, now);
    if (token == nullptr && presents_one) limit_.failed(request.peer.address, now);
    if (token == nullptr) return;
    caller.known = true;
    caller.scopes.add(token->scopes);
    request.peer.token = token->name;
}

const Token* Access::token_of(const Request& request, Instant now) {
    if (const auto secret = bearer_of(request)) return tokens_.find(*secret, now);
    const auto id = cookie_value(request.cookie, kCookie);
    if (id.empty()) return nullptr;
    const auto digest = sessions_.find(id, now);
    return digest ? tokens_.find(*digest, now) : nullptr;
}

bool Access::allows(const Request& request, Scope scope, Scopes anonymous) {
    if (const Token* const token = token_of(request, clock_.now())) anonymous.add(token->scopes);
    return anonymous.has(scope);
}

Access::Login Access::login(const Request& request, std::string_view secret) {
    const Instant now = clock_.now();
    Login login;
    login.retry_after = limit_.wait_s(request.peer.address, now);
    if (login.retry_after > 0) return login;
    const Token* token = tokens_.find(secret, now);
    if (token == nullptr) {
        limit_.failed(request.peer.address, now);
        return login;
    }
    login.name = token->name;
    login.session = sessions_.begin(token->digest, now);
    return login;
}

std::string Access::cookie(std::string_view session) const {
    const std::int64_t life = session.empty() ? 0 : Sessions::kLife / std::chrono::seconds(1);
    std::string value(kCookie);
    value.append("=").append(session).append("; Path=/; HttpOnly; SameSite=Strict; Max-Age=");
    value += std::to_string(life);
    if (secure_) value += "; Secure";
    return value;
}

void Access::logout(const Request& request) {
    if (const auto id = cookie_value(request.cookie, kCookie); !id.empty()) sessions_.end(id);
}

} // namespace keepwell::api
