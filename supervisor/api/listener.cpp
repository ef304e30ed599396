#include "supervisor/api/listener.h"

#include <microhttpd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace keepwell::api {

namespace {

constexpr std::size_t kConnectionMemory = 32U << 10;
constexpr unsigned kIdleSeconds = 10;
constexpr std::uint64_t kStarvedMs = 200; // without descriptors: do not spin on accept
constexpr Duration kReportGap = std::chrono::minutes(1);

struct DaemonCloser {
    void operator()(MHD_Daemon* d) const noexcept { MHD_stop_daemon(d); }
};

} // namespace

struct Listener::Impl {
    Impl(const Setup& setup, Ports p)
        : ports(std::move(p)),
          name(setup.name),
          connections(ports.loop, ports.clock),
          exchanges(ports.loop,
                    {ports.clock, connections, ports.handle, ports.security_policy, ports.counters,
                     [this] {
                         if (starved || run_armed) return;
                         run_armed = true;
                         run_timer.start(0);
                     }}),
          run_timer(ports.loop, [this] { run(); }),
          prepare(ports.loop, [this] { before_wait(); }) {
        run_timer.unref();
    }
    ~Impl();

    Status open(const Setup&);
    void leave_socket() { // asked again, the library gives the number again, which may be another's
                          // by then
        if (!std::exchange(accepting, false)) return;
        const int fd = MHD_quiesce_daemon(daemon.get());
        if (fd != MHD_INVALID_SOCKET) ::close(fd);
    }
    void run();
    void before_wait();
    void log(const char* format, va_list args);

    static MHD_Result request_edge(void*, MHD_Connection*, const char*, const char*, const char*,
                                   const char*, std::size_t*, void**) noexcept;
    static void* target_edge(void*, const char*, MHD_Connection*) noexcept;
    static void completed_edge(void*, MHD_Connection*, void**, MHD_RequestTerminationCode) noexcept;
    static void connection_edge(void*, MHD_Connection*, void**,
                                MHD_ConnectionNotificationCode) noexcept;
    static void log_edge(void*, const char*, va_list) noexcept;

    Ports ports;
    std::string name;
    Connections connections;
    std::unique_ptr<MHD_Daemon, DaemonCloser> daemon;
    bool accepting = true;
    bool stopping = false, starved = false, was_starved = false, run_armed = false;
    std::string last_line; // of the library, while it starts
    Instant reported_at = Instant::min();
    Exchanges exchanges;

    uv::Timer run_timer;
    uv::Prepare prepare;
    std::optional<uv::Poll> poll;
};

// The C edge: what throws below it becomes a closed connection.
MHD_Result Listener::Impl::request_edge(void* self, MHD_Connection* connection, const char*,
                                        const char* method, const char*, const char* data,
                                        std::size_t* size, void** exchange) noexcept {
    if (*exchange == nullptr) return MHD_NO;
    try {
        return static_cast<Impl*>(self)->exchanges.on_request(connection, method, data, size,
                                                              *static_cast<Exchange*>(*exchange))
                   ? MHD_YES
                   : MHD_NO;
    } catch (const std::exception&) {
        return MHD_NO;
    }
}

// The one place that shows the target as it came; MHD would decode it before it is split.
void* Listener::Impl::target_edge(void*, const char* target, MHD_Connection*) noexcept {
    try {
        auto exchange = std::make_unique<Exchange>();
        exchange->request.target = target;
        return exchange.release();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void Listener::Impl::completed_edge(void* self, MHD_Connection* connection, void** exchange,
                                    MHD_RequestTerminationCode) noexcept {
    delete static_cast<Exchange*>(*exchange);
    *exchange = nullptr;
    static_cast<Impl*>(self)->exchanges.completed(connection);
}

void Listener::Impl::connection_edge(void* self, MHD_Connection* connection, void** context,
                                     MHD_ConnectionNotificationCode what) noexcept {
    auto& connections = static_cast<Impl*>(self)->connections;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context != nullptr) connections.closed(*static_cast<Connection*>(*context));
        *context = nullptr;
        return;
    }
    const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    *context = &connections.opened(info == nullptr ? -1 : info->connect_fd);
}

void Listener::Impl::log_edge(void* self, const char* format, va_list args) noexcept {
    try {
        static_cast<Impl*>(self)->log(format, args);
    } catch (const std::exception&) {
        return;
    }
}

Status Listener::Impl::open(const Setup& setup) {
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    std::vector<MHD_OptionItem> more;
    if (setup.connections_per_address > 0)
        more.push_back(
            {MHD_OPTION_PER_IP_CONNECTION_LIMIT, setup.connections_per_address, nullptr});
    if (setup.tls) {
        flags |= MHD_USE_TLS;
        const auto text = [](const std::string& pem) { return const_cast<char*>(pem.c_str()); };
        more.push_back({MHD_OPTION_HTTPS_MEM_CERT, 0, text(setup.tls->certificate)});
        more.push_back({MHD_OPTION_HTTPS_MEM_KEY, 0, text(setup.tls->key)});
    }
    more.push_back({MHD_OPTION_END, 0, nullptr});
    // MHD closes what it is given also when it does not start, so it gets one of its own.
    const int socket = ::fcntl(setup.socket, F_DUPFD_CLOEXEC, 0);
    if (socket < 0) return Error{"cannot start the API on " + name + ": see `ulimit -n`", errno};
    daemon.reset(MHD_start_daemon(flags, 0, nullptr, nullptr, &request_edge, this, //
                                  MHD_OPTION_EXTERNAL_LOGGER, &log_edge,
                                  this,                             // must be the first option
                                  MHD_OPTION_LISTEN_SOCKET, socket, //
                                  MHD_OPTION_URI_LOG_CALLBACK, &target_edge, this,       //
                                  MHD_OPTION_NOTIFY_COMPLETED, &completed_edge, this,    //
                                  MHD_OPTION_NOTIFY_CONNECTION, &connection_edge, this,  //
                                  MHD_OPTION_CONNECTION_LIMIT, setup.connections,        //
                                  MHD_OPTION_CONNECTION_TIMEOUT, kIdleSeconds,           //
                                  MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionMemory, //
                                  MHD_OPTION_STRICT_FOR_CLIENT, 1,                       //
                                  MHD_OPTION_ARRAY, more.data(), MHD_OPTION_END));
    if (!daemon) return Error{"cannot start the API on " + name + ": " + last_line, 0};
    const auto* info = MHD_get_daemon_info(daemon.get(), MHD_DAEMON_INFO_EPOLL_FD);
    if (info == nullptr) return Error{"cannot start the API on " + name + ": no epoll", 0};
    poll.emplace(ports.loop, info->epoll_fd, [this](int, int) { run(); });
    poll->start(UV_READABLE);
    return Done{};
}

// stop_daemon aborts on a suspended connection and closes the epoll descriptor that poll watches.
Listener::Impl::~Impl() {
    stopping = true;
    if (!daemon) return;
    exchanges.resume_all();
    exchanges.streams().end_all();
    leave_socket();
    MHD_run(daemon.get());
    MHD_run(daemon.get());
    poll.reset();
    daemon.reset();
}

void Listener::Impl::run() {
    run_armed = false;
    if (starved) {
        starved = false;
        poll->start(UV_READABLE);
    }
    exchanges.streams().resume_woken();
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
void Listener::Impl::before_wait() {
    MHD_UNSIGNED_LONG_LONG ms = 0;
    if (starved || run_armed || !daemon) return;
    if (MHD_get_timeout(daemon.get(), &ms) == MHD_YES)
        run_timer.start(ms);
    else
        run_timer.stop();
}

void Listener::Impl::log(const char* format, va_list args) {
    char text[256];
    std::vsnprintf(text, sizeof text, format, args);
    std::string line(text);
    if (line.find("resource limit") != std::string::npos ||
        line.find("accepting connection") != std::string::npos)
        starved = true;
    std::erase_if(line, [](unsigned char c) { return c < 0x20 || c >= 0x7F; });
    last_line = line;
    if (!daemon) return;                                         // open() says it
    if (line.find("no longer available") != std::string::npos) { // a client that has gone
        if (ports.detail) ports.detail(name + ": " + line);
        return;
    }
    const Instant now = ports.clock.now();
    if (reported_at != Instant::min() && now - reported_at < kReportGap) return;
    reported_at = now;
    ports.report(name + ": " + line);
}

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() = default;

Result<std::unique_ptr<Listener>> Listener::open(const Setup& setup, Ports ports) {
    auto impl = std::make_unique<Impl>(setup, std::move(ports));
    if (Status status = impl->open(setup); !status) return status.error();
    return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

void Listener::notify() { impl_->exchanges.notify(); }
std::size_t Listener::waiting() const { return impl_->exchanges.waiting(); }
std::size_t Listener::connections() const { return impl_->connections.size(); }
std::size_t Listener::review_streams() { return impl_->exchanges.streams().review(); }
void Listener::stop_accepting() { impl_->leave_socket(); }

} // namespace keepwell::api
