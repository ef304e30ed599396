#include "supervisor/api/server.h"

#include "supervisor/api/routes.h"
#include "supervisor/api/socket.h"
#include "supervisor/api/stream_body.h"
#include "supervisor/uv/loop.h"

#include <fmt/format.h>
#include <microhttpd.h>

#include <algorithm>
#include <cctype>
#include <cstdarg>
#include <cstdio>
#include <list>
#include <sys/socket.h>

namespace keepwell {

using api::Reply;
using api::Request;
using api::Routes;

namespace {

constexpr std::size_t kBodyLimit = 64U << 10;
constexpr std::size_t kDiscardLimit = 1U << 20; // of a body that is too large, before hanging up
constexpr std::size_t kHeaderLimit = 8U << 10;
constexpr std::size_t kConnectionMemory = 32U << 10;
constexpr unsigned kConnections = 512;
constexpr unsigned kIdleSeconds = 10;
constexpr std::uint64_t kLookMs = 50;     // at waiting requests
constexpr std::uint64_t kStarvedMs = 200; // without descriptors: do not spin on accept
constexpr Duration kReportGap = std::chrono::minutes(1);

struct Exchange { // one request and its answer, between MHD's calls
    Request request;
    bool begun = false;
    std::optional<Reply> refused; // decided from the headers; said when the body is over
    std::size_t received = 0;
    std::function<Reply()> later; // of a request that waits for what it has begun
};

struct ResponseCloser {
    void operator()(MHD_Response* r) const noexcept { MHD_destroy_response(r); }
};
using ResponsePtr = std::unique_ptr<MHD_Response, ResponseCloser>;

std::string header(MHD_Connection* connection, const char* name) {
    const char* value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value == nullptr ? "" : value;
}

struct HeaderSums {
    std::size_t bytes = 0;
    unsigned lengths = 0;
    bool encoded = false;
};

HeaderSums sum_headers(MHD_Connection* connection) {
    HeaderSums sums;
    const auto add = [](void* to, MHD_ValueKind, const char* key, const char* value) {
        auto& s = *static_cast<HeaderSums*>(to);
        std::string name(key);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        s.bytes += name.size() + (value == nullptr ? 0 : std::string_view(value).size()) + 4;
        if (name == "content-length") ++s.lengths;
        if (name == "transfer-encoding") s.encoded = true;
        return MHD_YES;
    };
    MHD_get_connection_values(connection, MHD_HEADER_KIND, add, &sums);
    return sums;
}

Peer peer_of(MHD_Connection* connection) {
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    ucred cred{};
    socklen_t size = sizeof cred;
    if (info == nullptr ||
        ::getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
        return {};
    return {static_cast<std::int64_t>(cred.uid), static_cast<std::int64_t>(cred.pid)};
}

ResponsePtr make_response(const Reply& reply, MHD_Connection* connection,
                          api::StreamBodies& streams) {
    // MHD copies, so the const_cast never writes.
    ResponsePtr response(reply.stream ? streams.respond(connection, reply.stream)
                                      : MHD_create_response_from_buffer(
                                            reply.body.size(), const_cast<char*>(reply.body.data()),
                                            MHD_RESPMEM_MUST_COPY));
    if (!response) return nullptr;
    const auto add = [&](const char* name, const std::string& value) {
        MHD_add_response_header(response.get(), name, value.c_str());
    };
    if (reply.status != 304) add("Content-Type", reply.content_type);
    add("Cache-Control", "no-store");
    add("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : reply.headers) add(name.c_str(), value);
    return response;
}

struct DaemonCloser {
    void operator()(MHD_Daemon* d) const noexcept { MHD_stop_daemon(d); }
};

} // namespace

struct ApiServer::Impl {
    Impl(uv::Loop& loop, const Clock& c, Control& control, api::ListeningSocket s, Report r)
        : clock(c),
          routes(control, c),
          socket(std::move(s)),
          report(std::move(r)),
          run_timer(loop, [this] { run(); }),
          look_timer(loop, [this] { look(); }),
          prepare(loop, [this] { before_wait(); }) {
        run_timer.unref();
        look_timer.unref();
    }
    ~Impl();

    Status open(uv::Loop&);
    void run();
    void before_wait();
    void look();
    void resume_ready(bool all);
    void run_soon();
    void log(const char* format, va_list args);

    static MHD_Result request_edge(void*, MHD_Connection*, const char*, const char*, const char*,
                                   const char*, std::size_t*, void**) noexcept;
    static void* target_edge(void*, const char*, MHD_Connection*) noexcept;
    static void completed_edge(void*, MHD_Connection*, void**, MHD_RequestTerminationCode) noexcept;
    static void log_edge(void*, const char*, va_list) noexcept;

    MHD_Result on_request(MHD_Connection*, const char* method, const char* data, std::size_t* size,
                          Exchange&);
    void begin(MHD_Connection*, const char* method, Exchange&);
    MHD_Result receive(const char* data, std::size_t* size, Exchange&);
    MHD_Result answer(MHD_Connection*, Exchange&);
    Reply handle(const Exchange&);
    Reply refusal(int status, std::string_view code, std::string_view message) const {
        return Routes::error(status, code, message, clock.wall());
    }

    struct Waiting {
        MHD_Connection* connection;
        Exchange* exchange;
        Instant until;
        std::function<bool()> ready;
    };

    const Clock& clock;
    Routes routes;
    api::ListeningSocket socket;
    Report report;
    api::StreamBodies streams{[this] { run_soon(); }};
    std::unique_ptr<MHD_Daemon, DaemonCloser> daemon;
    std::list<Waiting> waiting;
    bool stopping = false, starved = false, was_starved = false, run_armed = false;
    Instant reported_at = Instant::min();

    uv::Timer run_timer, look_timer;
    uv::Prepare prepare;
    std::optional<uv::Poll> poll;
};

// The C edge: what throws below it becomes a closed connection.
MHD_Result ApiServer::Impl::request_edge(void* self, MHD_Connection* connection, const char*,
                                         const char* method, const char*, const char* data,
                                         std::size_t* size, void** exchange) noexcept {
    if (*exchange == nullptr) return MHD_NO;
    try {
        return static_cast<Impl*>(self)->on_request(connection, method, data, size,
                                                    *static_cast<Exchange*>(*exchange));
    } catch (const std::exception&) {
        return MHD_NO;
    }
}

// The one place that shows the target as it came; MHD would decode it before it is split.
void* ApiServer::Impl::target_edge(void*, const char* target, MHD_Connection*) noexcept {
    try {
        auto exchange = std::make_unique<Exchange>();
        exchange->request.target = target;
        return exchange.release();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void ApiServer::Impl::completed_edge(void*, MHD_Connection*, void** exchange,
                                     MHD_RequestTerminationCode) noexcept {
    delete static_cast<Exchange*>(*exchange);
    *exchange = nullptr;
}

void ApiServer::Impl::log_edge(void* self, const char* format, va_list args) noexcept {
    try {
        static_cast<Impl*>(self)->log(format, args);
    } catch (const std::exception&) {
        return;
    }
}

Status ApiServer::Impl::open(uv::Loop& loop) {
    daemon.reset(MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
                                  nullptr, nullptr, &request_edge, this, //
                                  MHD_OPTION_EXTERNAL_LOGGER, &log_edge,
                                  this,                                  // must be the first option
                                  MHD_OPTION_LISTEN_SOCKET, socket.fd(), //
                                  MHD_OPTION_URI_LOG_CALLBACK, &target_edge, this,       //
                                  MHD_OPTION_NOTIFY_COMPLETED, &completed_edge, this,    //
                                  MHD_OPTION_CONNECTION_LIMIT, kConnections,             //
                                  MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,           //
                                  MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, //
                                  MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END));
    if (!daemon) return Error{"cannot start the control API; see the line before", 0};
    const auto* info = MHD_get_daemon_info(daemon.get(), MHD_DAEMON_INFO_EPOLL_FD);
    if (info == nullptr) return Error{"cannot start the control API: no epoll descriptor", 0};
    poll.emplace(loop, info->epoll_fd, [this](int, int) { run(); });
    poll->start(UV_READABLE);
    return Done{};
}

// stop_daemon aborts on a suspended connection and closes the epoll descriptor that poll watches.
ApiServer::Impl::~Impl() {
    stopping = true;
    if (!daemon) return;
    resume_ready(true);
    streams.end_all();
    MHD_quiesce_daemon(daemon.get());
    MHD_run(daemon.get());
    MHD_run(daemon.get());
    poll.reset();
    daemon.reset();
}

void ApiServer::Impl::run() {
    run_armed = false;
    if (starved) {
        starved = false;
        poll->start(UV_READABLE);
    }
    streams.resume_woken();
    MHD_run(daemon.get());
    // A connection that ends makes room again, but MHD listens again only in the turn after that.
    if (was_starved && !starved) MHD_run(daemon.get());
    was_starved = was_starved || starved;
    if (starved && !stopping) {
        poll->stop();
        run_armed = true;
        run_timer.start(kStarvedMs);
    }
}

// MHD has no descriptor for its own timeouts or for resumed connections.
void ApiServer::Impl::before_wait() {
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (starved || run_armed) return;
    if (MHD_get_timeout(daemon.get(), &ms) == MHD_YES)
        run_timer.start(ms);
    else
        run_timer.stop();
}

void ApiServer::Impl::look() {
    resume_ready(false);
    if (waiting.empty()) look_timer.stop();
}

void ApiServer::Impl::resume_ready(bool all) {
    const Instant now = clock.now();
    bool resumed = false;
    for (auto it = waiting.begin(); it != waiting.end();) {
        if (!all && now < it->until && !it->ready()) {
            ++it;
            continue;
        }
        it->exchange->request.waited = true;
        MHD_resume_connection(it->connection);
        it = waiting.erase(it);
        resumed = true;
    }
    if (resumed && !all) run_soon();
}

// After this turn of the loop: MHD does not notice by itself that a connection was resumed.
void ApiServer::Impl::run_soon() {
    if (starved || run_armed) return;
    run_armed = true;
    run_timer.start(0);
}

void ApiServer::Impl::log(const char* format, va_list args) {
    char text[256];
    std::vsnprintf(text, sizeof text, format, args);
    std::string line(text);
    if (line.find("resource limit") != std::string::npos ||
        line.find("accepting connection") != std::string::npos)
        starved = true;
    const Instant now = clock.now();
    if (reported_at != Instant::min() && now - reported_at < kReportGap) return;
    reported_at = now;
    std::erase_if(line, [](unsigned char c) { return c < 0x20 || c >= 0x7F; });
    report("control API: " + line);
}

MHD_Result ApiServer::Impl::on_request(MHD_Connection* connection, const char* method,
                                       const char* data, std::size_t* size, Exchange& exchange) {
    if (!exchange.begun) {
        begin(connection, method, exchange);
        return MHD_YES;
    }
    if (*size > 0) return receive(data, size, exchange);
    return answer(connection, exchange);
}

void ApiServer::Impl::begin(MHD_Connection* connection, const char* method, Exchange& exchange) {
    exchange.begun = true;
    Request& request = exchange.request;
    request.method = method;
    request.content_type = header(connection, "Content-Type");
    request.keepwell_request = header(connection, "X-Keepwell-Request");
    request.if_none_match = header(connection, "If-None-Match");
    request.last_event_id = header(connection, "Last-Event-ID");
    request.peer = peer_of(connection);
    const HeaderSums sums = sum_headers(connection);
    if (sums.lengths > 1 || (sums.lengths == 1 && sums.encoded))
        exchange.refused =
            refusal(400, "bad_request", "cannot read the request: its length is given twice");
    else if (sums.bytes > kHeaderLimit)
        exchange.refused = refusal(431, "headers_too_large",
                                   "cannot read the request: more than 8 KiB of headers");
}

MHD_Result ApiServer::Impl::receive(const char* data, std::size_t* size, Exchange& exchange) {
    exchange.received += *size;
    if (exchange.received > kDiscardLimit) return MHD_NO;
    if (exchange.received > kBodyLimit && !exchange.refused)
        exchange.refused = refusal(413, "body_too_large",
                                   "cannot read the request: its body is larger than 64 KiB");
    if (!exchange.refused) exchange.request.body.append(data, *size);
    *size = 0;
    return MHD_YES;
}

MHD_Result ApiServer::Impl::answer(MHD_Connection* connection, Exchange& exchange) {
    Reply reply = exchange.refused ? std::move(*exchange.refused) : handle(exchange);
    if (reply.wait && stopping) {
        exchange.request.waited = true;
        exchange.later = std::move(reply.wait->answer);
        reply = handle(exchange);
    }
    if (reply.wait) {
        exchange.later = std::move(reply.wait->answer);
        waiting.push_back({connection, &exchange, clock.now() + reply.wait->at_most,
                           std::move(reply.wait->ready)});
        MHD_suspend_connection(connection);
        look_timer.start(kLookMs, kLookMs);
        return MHD_YES;
    }
    if (exchange.received > kBodyLimit) reply.headers.emplace_back("Connection", "close");
    const ResponsePtr response = make_response(reply, connection, streams);
    if (!response) return MHD_NO;
    return MHD_queue_response(connection, static_cast<unsigned>(reply.status), response.get());
}

Reply ApiServer::Impl::handle(const Exchange& exchange) {
    try {
        return exchange.later ? exchange.later() : routes.handle(exchange.request);
    } catch (const std::exception& e) {
        report(fmt::format("internal error in the control API: {}", e.what()));
        return refusal(500, "internal", "cannot answer: internal error; see keepwell's log");
    }
}

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::open(uv::Loop& loop, const Clock& clock,
                                                   Control& control, const Options& options,
                                                   Report report) {
    auto socket = api::ListeningSocket::open(options.socket_path, options.group);
    if (!socket) return socket.error();
    auto impl = std::make_unique<Impl>(loop, clock, control, std::move(*socket), std::move(report));
    if (Status status = impl->open(loop); !status) return status.error();
    return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

void ApiServer::notify() {
    if (!impl_->waiting.empty()) impl_->look_timer.start(0, kLookMs);
}

std::size_t ApiServer::waiting() const { return impl_->waiting.size(); }

} // namespace keepwell
