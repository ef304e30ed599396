// Guard: what a request must be before anybody looks where it goes: a known method, a Host of ours
// (a foreign name may be a rebound one), and for changes what no page of another site can send.
//
// Pure. The unix socket has no meaningful Host; everything else holds there too.
#pragma once

#include "supervisor/api/http_types.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

struct GuardRules {     // of one listener
    bool local = false; // the unix socket
    bool tls = false;
    bool behind_proxy = false;
    std::vector<std::string> hosts;   // names without port, lower case
    std::vector<std::string> origins; // may read and, where the browser lets them, change
};

struct Refusal {
    int status = 400;
    std::string_view code;
    std::string message;
};

// `own_address`: where the connection arrived, "127.0.0.1" or "::1".
std::optional<Refusal> inspect(const GuardRules&, const Request&, std::string_view own_address);

// May that page read answers (Access-Control-Allow-Origin)?
bool is_listed(const GuardRules&, std::string_view origin);

// "Web.Example:5001" -> "web.example", "[::1]:80" -> "::1"; empty when it is no host.
std::string host_name_of(std::string_view host_header);

} // namespace keepwell::api
