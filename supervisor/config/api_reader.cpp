#include "supervisor/config/api_reader.h"

#include "supervisor/config/pattern.h"
#include "supervisor/config/values.h"

#include <algorithm>

namespace keepwell::config {
namespace {

constexpr std::string_view kScopes[] = {"read", "logs", "metrics"};

bool is_address(std::string_view listen) {
    const std::string_view host = listen.substr(0, listen.rfind(':'));
    if (host == "localhost" || (host.starts_with('[') && host.ends_with(']'))) return true;
    return !host.empty() && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_loopback(std::string_view listen) {
    const std::string_view host = listen.substr(0, listen.rfind(':'));
    return host == "localhost" || host == "[::1]" || host.starts_with("127.");
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text;
}

// scheme://host[:port], without a path.
bool is_origin(std::string_view text) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!text.starts_with(scheme)) continue;
        const std::string_view rest = text.substr(scheme.size());
        return !rest.empty() && rest.find_first_of("/?#@ ;,*'\"\\") == std::string_view::npos;
    }
    return false;
}

void read_anonymous(Reader& api, ApiSpec& to) {
    std::vector<std::string> scopes;
    if (!api.texts("anonymous", scopes)) return;
    for (const Node& item : api.node().find("anonymous")->items) {
        if (item.text == "control" || item.text == "heartbeat")
            api.error(item, "nobody gets the scope " + item.text +
                                " without a token (keepwell token add makes one)");
        else if (std::ranges::find(kScopes, item.text) == std::end(kScopes))
            api.error(item, quote(item.text) + " is none of read, logs, metrics");
    }
    to.anonymous = std::move(scopes);
}

void read_hosts(Reader& api, std::vector<std::string>& to) {
    if (!api.texts("allowed_hosts", to)) return;
    for (const Node& item : api.node().find("allowed_hosts")->items) {
        const bool good =
            !item.text.empty() && item.text.find_first_of(" /:*@?#") == std::string::npos;
        if (!good)
            api.error(item, quote(item.text) +
                                " is not a host name (like \"status.example.org\", without port)");
    }
    for (auto& host : to) host = lower(host);
}

void read_origins(Reader& api, std::string_view key, bool self, std::vector<std::string>& to) {
    if (!api.texts(key, to)) return;
    for (const Node& item : api.node().find(key)->items) {
        if (is_origin(item.text) || (self && item.text == "self")) continue;
        api.error(item, quote(item.text) +
                            " is not an origin (like \"https://status.example.org\"" +
                            (self ? " or \"self\")" : ")"));
    }
    for (auto& origin : to) origin = origin == "self" ? "'self'" : lower(origin);
}

void read_tls(Reader& api, ApiSpec& to) {
    const Node* found = api.table("tls");
    if (found == nullptr) return;
    Reader tls(*found, api.messages());
    ApiTlsSpec spec;
    tls.path("cert", spec.cert);
    tls.path("key", spec.key);
    tls.finish();
    if (found->find("cert") == nullptr)
        tls.missing("cert is missing (the file of the certificate)");
    if (found->find("key") == nullptr) tls.missing("key is missing (the file of its private key)");
    to.tls = std::move(spec);
}

} // namespace

void read_listen(Reader& reader, std::vector<std::string>& to) {
    if (!reader.texts("listen", to)) return;
    for (const Node& item : reader.node().find("listen")->items) {
        if (const Status good = check_host_port(item.text); !good)
            reader.error(item, good.error().message);
        else if (!is_address(item.text))
            reader.error(item, quote(item.text) +
                                   " names a host (write its address, like \"127.0.0.1:5001\", "
                                   "\"[::1]:5001\" or \"0.0.0.0:5001\")");
    }
}

void read_api(Reader& supervisor, SupervisorSpec& to) {
    const Node* found = supervisor.table("api");
    if (found == nullptr) return;
    Reader api(*found, supervisor.messages());
    if (api.texts("redact", to.redact)) {
        for (const Node& item : found->find("redact")->items) {
            if (const Status good = check_redaction(item.text); !good) {
                api.error(item, good.error().message);
            }
        }
    }
    read_anonymous(api, to.api);
    api.integer("max_streams", to.api.max_streams, 0, 10'000);
    api.integer("max_streams_per_address", to.api.max_streams_per_address, 0, 10'000);
    api.path("tokens_file", to.api.tokens_file);
    read_tls(api, to.api);
    read_hosts(api, to.api.allowed_hosts);
    read_origins(api, "origins", false, to.api.origins);
    read_origins(api, "frame_ancestors", true, to.api.frame_ancestors);
    api.boolean("behind_proxy", to.api.behind_proxy);
    api.finish();
}

void check_listen(Reader& supervisor, const SupervisorSpec& spec) {
    const Node* listen = supervisor.node().find("listen");
    if (listen == nullptr || spec.api.tls || spec.api.behind_proxy) return;
    for (const Node& item : listen->items)
        if (item.is_string() && check_host_port(item.text) && is_address(item.text) &&
            !is_loopback(item.text))
            supervisor.error(item,
                             quote(item.text) +
                                 " is open to other machines: encrypt it (supervisor.api.tls "
                                 "= { cert, key }), put a proxy with TLS before it "
                                 "(supervisor.api.behind_proxy = true) or listen on 127.0.0.1");
}

} // namespace keepwell::config
