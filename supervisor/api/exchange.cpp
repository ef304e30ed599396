#include "supervisor/api/exchange.h"

#include "supervisor/api/response.h"
#include "supervisor/api/routes.h"

#include <microhttpd.h>

#include <string_view>
#include <strings.h>

namespace keepwell::api {

namespace {

constexpr std::size_t kBodyLimit = 64U << 10;
constexpr std::size_t kDiscardLimit = 1U << 20; // of a body that is too large, before hanging up
constexpr std::size_t kHeaderLimit = 8U << 10;
constexpr std::uint64_t kLookMs = 50; // at waiting requests

struct Head { // what is taken from the headers in one pass
    Request* request;
    std::size_t bytes = 0;
    unsigned lengths = 0, hosts = 0;
    bool encoded = false;
};

bool is(const char* name, const char* wanted) { return ::strcasecmp(name, wanted) == 0; }

MHD_Result take_header(void* to, MHD_ValueKind, const char* name, const char* value) {
    auto& head = *static_cast<Head*>(to);
    Request& r = *head.request;
    const std::string_view text = value == nullptr ? "" : value;
    head.bytes += std::string_view(name).size() + text.size() + 4;
    if (is(name, "Host")) {
        ++head.hosts;
        r.host = text;
    } else if (is(name, "Content-Length")) {
        ++head.lengths;
    } else if (is(name, "Transfer-Encoding")) {
        head.encoded = true;
    } else if (is(name, "Content-Type")) {
        r.content_type = text;
    } else if (is(name, "X-Keepwell-Request")) {
        r.keepwell_request = text;
    } else if (is(name, "Last-Event-ID")) {
        r.last_event_id = text;
    } else if (is(name, "If-None-Match")) {
        r.if_none_match = text;
    } else if (is(name, "Authorization")) {
        r.authorization = text;
    } else if (is(name, "Cookie")) {
        r.cookie = text;
    } else if (is(name, "Origin")) {
        r.origin = text;
    } else if (is(name, "Sec-Fetch-Site")) {
        r.fetch_site = text;
    } else if (is(name, "X-Forwarded-For")) {
        r.forwarded_for = text;
    } else if (is(name, "Accept-Encoding")) {
        r.gzip = text.find("gzip") != std::string_view::npos;
    }
    return MHD_YES;
}

Connection& connection_of(MHD_Connection* connection) {
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return *static_cast<Connection*>(info->socket_context);
}

} // namespace

Exchanges::Exchanges(uv::Loop& loop, Ports ports)
    : p_(std::move(ports)), streams_([this] { p_.wake(); }), look_timer_(loop, [this] { look(); }) {
    look_timer_.unref();
}

bool Exchanges::on_request(MHD_Connection* connection, const char* method, const char* data,
                           std::size_t* size, Exchange& exchange) {
    if (!exchange.begun) {
        begin(connection, method, exchange);
        return true;
    }
    if (*size > 0) return receive(data, size, exchange);
    return answer(connection, exchange);
}

void Exchanges::begin(MHD_Connection* connection, const char* method, Exchange& exchange) {
    exchange.begun = true;
    exchange.since = p_.clock.now();
    Request& request = exchange.request;
    Connection& arrival = connection_of(connection);
    p_.connections.expect_body(arrival);
    request.method = method;
    request.peer = arrival.peer;
    Head head{&request};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_header, &head);
    const auto refuse = [&](int status, std::string_view code, std::string_view message) {
        exchange.refused = Routes::error(status, code, message, p_.clock.wall());
        exchange.refused->refused = code;
    };
    if (head.lengths > 1 || (head.lengths == 1 && head.encoded))
        refuse(400, "bad_request", "cannot read the request: its length is given twice");
    else if (head.hosts > 1)
        refuse(400, "bad_request", "cannot read the request: it names two hosts");
    else if (head.bytes > kHeaderLimit)
        refuse(431, "headers_too_large", "cannot read the request: more than 8 KiB of headers");
}

bool Exchanges::receive(const char* data, std::size_t* size, Exchange& exchange) {
    exchange.received += *size;
    if (exchange.received > kDiscardLimit) return false;
    if (exchange.received > kBodyLimit && !exchange.refused) {
        exchange.refused = Routes::error(413, "body_too_large",
                                         "cannot read the request: its body is larger than 64 KiB",
                                         p_.clock.wall());
        exchange.refused->refused = "body_too_large";
    }
    if (!exchange.refused) exchange.request.body.append(data, *size);
    *size = 0;
    return true;
}

bool Exchanges::answer(MHD_Connection* connection, Exchange& exchange) {
    Connection& arrival = connection_of(connection);
    Reply reply = exchange.refused ? std::move(*exchange.refused)
                                   : p_.handle(exchange.request, arrival, exchange.later);
    if (reply.wait && stopping_) {
        exchange.request.waited = true;
        exchange.later = std::move(reply.wait->answer);
        reply = p_.handle(exchange.request, arrival, exchange.later);
    }
    if (!reply.handler.empty()) exchange.handler = reply.handler;
    if (!reply.wait) return send(connection, exchange, std::move(reply));
    exchange.later = std::move(reply.wait->answer);
    waiting_.push_back({connection, &exchange, p_.clock.now() + reply.wait->at_most,
                        std::move(reply.wait->ready)});
    p_.connections.expect_nothing(arrival);
    MHD_suspend_connection(connection);
    look_timer_.start(kLookMs, kLookMs);
    return true;
}

bool Exchanges::send(MHD_Connection* connection, Exchange& exchange, Reply reply) {
    if (exchange.received > kBodyLimit) reply.headers.emplace_back("Connection", "close");
    ResponsePtr stream;
    if (reply.stream) {
        stream.reset(
            streams_.respond(connection, std::move(reply.stream), std::move(reply.may_go_on)));
        if (!stream) return false;
        p_.connections.expect_nothing(connection_of(connection));
    } else {
        p_.connections.expect_taken(connection_of(connection), reply.bytes().size());
    }
    count(exchange, reply);
    const auto status = static_cast<unsigned>(reply.status);
    const ResponsePtr response =
        make_response(std::move(reply), p_.security_policy(), std::move(stream));
    return response && MHD_queue_response(connection, status, response.get()) == MHD_YES;
}

void Exchanges::count(const Exchange& exchange, const Reply& reply) {
    if (!reply.refused.empty()) p_.counters.reject(reply.refused);
    p_.counters.answered(exchange.request.method, exchange.handler, reply.status,
                         p_.clock.now() - exchange.since);
}

void Exchanges::completed(MHD_Connection* connection) {
    p_.connections.expect_head(connection_of(connection));
}

void Exchanges::notify() {
    if (!waiting_.empty()) look_timer_.start(0, kLookMs);
}

void Exchanges::look() {
    if (resume(false)) p_.wake();
    if (waiting_.empty()) look_timer_.stop();
}

void Exchanges::resume_all() {
    stopping_ = true;
    resume(true);
}

bool Exchanges::resume(bool all) {
    const Instant now = p_.clock.now();
    bool resumed = false;
    for (auto it = waiting_.begin(); it != waiting_.end();) {
        if (!all && now < it->until && !it->ready()) {
            ++it;
            continue;
        }
        it->exchange->request.waited = true;
        MHD_resume_connection(it->connection);
        it = waiting_.erase(it);
        resumed = true;
    }
    return resumed;
}

} // namespace keepwell::api
