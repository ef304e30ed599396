// Request and Reply: what the routes see of HTTP. Plain values; no library's types.
#pragma once

#include "supervisor/api/control.h"
#include "supervisor/feeds/stream.h"
#include "units/time.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace keepwell::api {

// What a caller must be allowed for a route. The unix socket's rights allow everything.
enum class Scope { Open, Read, Logs, Metrics, Control, Heartbeat };

struct Request {
    std::string method;
    std::string target; // as it came: path and query, still percent-encoded
    std::string body;
    std::string content_type, keepwell_request, if_none_match;
    std::string last_event_id = {};
    std::string address = {}; // of the client; empty on the unix socket
    Peer peer;
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
    std::string content_type = "application/json";
    std::vector<std::pair<std::string, std::string>> headers;
    std::optional<Wait> wait;                   // when set, the rest means nothing
    std::shared_ptr<feeds::Stream> stream = {}; // instead of the body: it goes on
};

} // namespace keepwell::api
