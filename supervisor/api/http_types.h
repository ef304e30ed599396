// Request and Reply: what the routes see of HTTP. Plain values; no library's types.
#pragma once

#include "supervisor/api/control.h"
#include "supervisor/api/scopes.h"
#include "supervisor/feeds/stream.h"
#include "units/time.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keepwell::api {

struct Caller { // what is known of who asks
    Scopes scopes;
    bool known = false;           // the unix socket, a token or a login
    bool may_log_in = false;      // over TCP a token can be given for a cookie
    std::int64_t retry_after = 0; // seconds; > 0: too many wrong tokens from that address
};

struct Request {
    std::string method;
    std::string target; // as it came: path and query, still percent-encoded
    std::string body;
    std::string content_type, keepwell_request, if_none_match;
    std::string host, origin, fetch_site, authorization, cookie, forwarded_for;
    bool gzip = false;   // the client takes it
    bool secure = false; // it came over TLS, here or at the proxy before us
    std::string last_event_id = {};
    Peer peer;
    Caller caller;
    bool waited = false; // asked again after Reply::wait: answer now
};

struct Reply;

// "Not yet": ask again when ready() says so or the time is over. ready() is called on the loop
// about every 50 ms and must be cheap. With answer() the request is not handled again: what it has
// begun gives the reply, or says that the time is over.
struct Wait {
    Duration at_most{};
    std::function<bool()> ready;
    std::function<Reply()> answer = {};
};

struct Reply {
    int status = 200;
    std::string body;
    // Instead of body, when set: bytes that many answers share and nobody copies.
    std::shared_ptr<const std::string> shared_body = {};
    std::optional<std::string_view> fixed_body = {}; // the same, of bytes that never end
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<Wait> wait;                   // when set, the rest means nothing
    std::shared_ptr<feeds::Stream> stream = {}; // instead of the body: it goes on
    std::function<bool()> may_go_on = {};       // of a stream; asked now and then; none: it may
    std::string_view handler;                   // the route's pattern; empty = none was met
    std::string refused; // the code of an answer that is given before any route

    std::string_view bytes() const {
        if (fixed_body) return *fixed_body;
        return shared_body ? std::string_view(*shared_body) : std::string_view(body);
    }
};

} // namespace keepwell::api
