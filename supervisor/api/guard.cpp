#include "supervisor/api/guard.h"

#include <algorithm>

namespace keepwell::api {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

bool is_port(std::string_view text) {
    return text.size() <= 5 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_json(std::string_view content_type) {
    content_type = content_type.substr(0, content_type.find(';'));
    while (content_type.ends_with(' ')) content_type.remove_suffix(1);
    return lower(content_type) == "application/json";
}

bool host_is_ours(const GuardRules& rules, const Request& request, std::string_view own_address) {
    const std::string name = host_name_of(request.host);
    if (name.empty()) return false;
    if (name == "localhost" || name == "127.0.0.1" || name == "::1" || name == own_address)
        return true;
    return std::find(rules.hosts.begin(), rules.hosts.end(), name) != rules.hosts.end();
}

// A page of ours: it was loaded from the very place that it asks.
bool is_own(const GuardRules& rules, const Request& request) {
    const std::string origin = lower(request.origin), host = lower(request.host);
    const bool either = rules.behind_proxy || rules.local;
    return ((rules.tls || either) && origin == "https://" + host) ||
           ((!rules.tls || either) && origin == "http://" + host);
}

std::optional<Refusal> inspect_change(const GuardRules& rules, const Request& request) {
    if (!is_json(request.content_type))
        return Refusal{400, "bad_request",
                       "cannot accept the request: it needs Content-Type: application/json"};
    if (request.keepwell_request != "1")
        return Refusal{400, "bad_request",
                       "cannot accept the request: it needs the header X-Keepwell-Request: 1"};
    if (!request.origin.empty() && !is_own(rules, request) && !is_listed(rules, request.origin))
        return Refusal{403, "cross_origin",
                       "cannot accept a change from another site's page (supervisor.api.origins)"};
    const std::string_view site = request.fetch_site;
    if (!site.empty() && site != "same-origin" && site != "none")
        return Refusal{403, "cross_origin", "cannot accept a change from another site's page"};
    return std::nullopt;
}

} // namespace

std::string host_name_of(std::string_view host) {
    std::string_view name = host, port;
    if (host.starts_with('[')) {
        const auto end = host.find(']');
        if (end == std::string_view::npos) return "";
        name = host.substr(1, end - 1);
        port = host.substr(end + 1);
    } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
        name = host.substr(0, colon);
        port = host.substr(colon);
    }
    if (!port.empty() && (!port.starts_with(':') || !is_port(port.substr(1)))) return "";
    std::string out = lower(name);
    const bool v6 = host.starts_with('[');
    const bool good = std::all_of(out.begin(), out.end(), [v6](char c) {
        return is_host_character(c) || (v6 && (c == ':' || c == '%'));
    });
    if (!good) return "";
    if (out.size() > 1 && out.ends_with('.')) out.pop_back();
    return out;
}

bool is_listed(const GuardRules& rules, std::string_view origin) {
    return !origin.empty() && std::find(rules.origins.begin(), rules.origins.end(),
                                        lower(origin)) != rules.origins.end();
}

std::optional<Refusal> inspect(const GuardRules& rules, const Request& request,
                               std::string_view own_address) {
    const bool post = request.method == "POST";
    if (!post && request.method != "GET" && request.method != "HEAD")
        return Refusal{405, "method_not_allowed", "cannot serve that method; use GET or POST"};
    if (!rules.local && !host_is_ours(rules, request, own_address))
        return Refusal{421, "misdirected",
                       "cannot answer for that host; use an address of this machine or list the "
                       "name in supervisor.api.allowed_hosts"};
    if (post) return inspect_change(rules, request);
    return std::nullopt;
}

} // namespace keepwell::api
