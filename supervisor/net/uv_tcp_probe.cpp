#include "supervisor/net/uv_tcp_probe.h"

#include "supervisor/net/resolver.h"
#include "supervisor/net/tls_session.h"
#include "watchers/check_scheduler.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace keepwell {

namespace {

constexpr std::size_t kMaxRead = 4096;
constexpr std::uint64_t kUnixRetryMs = 20; // while the queue of a unix socket is full

class Fd {
  public:
    explicit Fd(int fd = -1) noexcept : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) close(fd_);
        fd_ = fd;
    }
    int get() const noexcept { return fd_; }

  private:
    int fd_;
};

std::string error_text(int error) {
    if (error == ECONNREFUSED) return "connection refused";
    std::string text = std::generic_category().message(error);
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z')
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

void set_port(SocketAddress& a, std::uint16_t port) noexcept {
    if (a.storage.ss_family == AF_INET)
        reinterpret_cast<sockaddr_in&>(a.storage).sin_port = htons(port);
    if (a.storage.ss_family == AF_INET6)
        reinterpret_cast<sockaddr_in6&>(a.storage).sin6_port = htons(port);
}

enum class Phase { Resolving, Connecting, Handshake, Sending, Reading, Over };

} // namespace

struct UvTcpProbe::Impl {
    struct Probe {
        Probe(uv::Loop& loop, std::function<void()> on_timer) : timer(loop, std::move(on_timer)) {}
        std::uint64_t id = 0;
        TcpRequest request;
        std::function<void(TcpResult)> callback;
        Instant started{}, deadline{};
        Phase phase = Phase::Resolving;
        std::vector<SocketAddress> addresses;
        std::size_t next_address = 0;
        std::size_t sent = 0;
        std::string received;
        TcpResult result;
        Fd fd; // closed after the poll on it
        std::unique_ptr<TlsSession> tls;
        std::unique_ptr<uv::Poll> poll; // must go before the descriptor does
        uv::Timer timer;
    };
    using Probes = std::unordered_map<std::uint64_t, std::unique_ptr<Probe>>;

    explicit Impl(uv::Loop& l) : loop(l), resolver(l) {}

    Instant now() const noexcept { return clock.now(); }
    static std::uint64_t ms_until(Instant now, Instant at) noexcept {
        const auto left = (at - now).count();
        return left <= 0 ? 0 : static_cast<std::uint64_t>((left + 999'999) / 1'000'000);
    }

    void begin(Probe& p) {
        p.started = now();
        p.deadline = p.started + p.request.timeout;
        if (!p.request.unix_socket.empty()) return connect_unix(p);
        if (auto address = numeric_address(p.request.host, p.request.port)) {
            p.addresses.push_back(*address);
            return connect_next(p);
        }
        p.timer.start(ms_until(p.started, p.deadline));
        resolver.resolve(p.request.host, p.id, [this, id = p.id](const Resolver::Answer& answer) {
            const auto it = probes.find(id);
            if (it != probes.end()) resolved(*it->second, answer);
        });
    }
    void resolved(Probe& p, const Resolver::Answer& answer) {
        if (answer.addresses.empty()) return over(p, answer.error);
        p.addresses = answer.addresses;
        for (auto& a : p.addresses) set_port(a, p.request.port);
        connect_next(p);
    }

    // Each address gets its share of what is left, so that a silent one does not eat it all.
    void connect_next(Probe& p) {
        p.poll.reset();
        p.phase = Phase::Connecting;
        const SocketAddress& address = p.addresses[p.next_address++];
        const Instant at = now();
        const auto share = std::max<Duration>(p.deadline - at, Duration{}) /
                           static_cast<std::int64_t>(p.addresses.size() - p.next_address + 1);
        p.timer.start(ms_until(at, at + share));
        p.fd.reset(
            socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (p.fd.get() < 0) return failed(p, errno);
        const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
        if (connect(p.fd.get(), to, address.length) != 0 && errno != EINPROGRESS)
            return failed(p, errno);
        p.poll = std::make_unique<uv::Poll>(loop, p.fd.get(),
                                            [this, id = p.id](int, int) { ready(id); });
        p.poll->start(UV_WRITABLE);
    }
    // A unix socket answers at once or, with its queue full, not at all: EAGAIN then, and no event.
    void connect_unix(Probe& p) {
        p.phase = Phase::Connecting;
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        const std::string& path = p.request.unix_socket;
        if (path.size() >= sizeof to.sun_path) return over(p, "the path is too long for a socket");
        std::copy(path.begin(), path.end(), to.sun_path);
        p.fd.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (p.fd.get() < 0) return failed(p, errno);
        if (connect(p.fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
            if (errno != EAGAIN) return failed(p, errno);
            p.fd.reset();
            p.timer.start(std::min(ms_until(now(), p.deadline), kUnixRetryMs));
            return;
        }
        p.poll = std::make_unique<uv::Poll>(loop, p.fd.get(),
                                            [this, id = p.id](int, int) { ready(id); });
        p.poll->start(UV_WRITABLE);
        p.timer.start(ms_until(now(), p.deadline));
    }
    void failed(Probe& p, int error) {
        const bool more = p.phase == Phase::Connecting && p.next_address < p.addresses.size() &&
                          now() < p.deadline;
        if (more) return connect_next(p);
        over(p, error_text(error));
    }

    void ready(std::uint64_t id) {
        const auto it = probes.find(id);
        if (it == probes.end()) return;
        Probe& p = *it->second;
        switch (p.phase) {
        case Phase::Connecting: return connected(p);
        case Phase::Handshake: return shake_hands(p);
        case Phase::Sending: return send_rest(p);
        case Phase::Reading: return read_some(p);
        case Phase::Resolving:
        case Phase::Over: return;
        }
    }
    void connected(Probe& p) {
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(p.fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        if (error != 0) return failed(p, error);
        p.timer.start(ms_until(now(), p.deadline));
        p.phase = Phase::Sending;
        if (!p.request.tls) return send_rest(p);
        p.phase = Phase::Handshake;
        const auto context = contexts.get(p.request.verify_tls, p.request.ca_file, now());
        if (!context) return over(p, "TLS: cannot use the CA file " + p.request.ca_file);
        p.tls =
            std::make_unique<TlsSession>(context, p.fd.get(), p.request.host, p.request.verify_tls);
        shake_hands(p);
    }
    void shake_hands(Probe& p) {
        const TlsResult r = p.tls->handshake();
        if (r.kind != TlsResult::Kind::Done) return wait_for_more(p, r);
        p.result.cert_expires_at = p.tls->cert_expires_at();
        p.phase = Phase::Sending;
        send_rest(p);
    }
    void wait_for_more(Probe& p, const TlsResult& r) {
        switch (r.kind) {
        case TlsResult::Kind::WantRead: return p.poll->start(UV_READABLE);
        case TlsResult::Kind::WantWrite: return p.poll->start(UV_WRITABLE);
        case TlsResult::Kind::Done:
        case TlsResult::Kind::Closed:
        case TlsResult::Kind::Failed: break;
        }
        over(p, r.error.empty() ? "the connection was closed" : r.error);
    }

    // The plain socket in the words of a TLS session.
    static TlsResult plain(ssize_t n, TlsResult::Kind again) {
        if (n > 0) return {TlsResult::Kind::Done, static_cast<std::size_t>(n), {}};
        if (n == 0) return {TlsResult::Kind::Closed, 0, {}};
        if (errno == EAGAIN || errno == EINTR) return {again, 0, {}};
        return {TlsResult::Kind::Failed, 0, error_text(errno)};
    }
    static TlsResult put(Probe& p, const char* data, std::size_t size) {
        if (p.tls) return p.tls->send(data, size);
        return plain(send(p.fd.get(), data, size, MSG_NOSIGNAL), TlsResult::Kind::WantWrite);
    }
    static TlsResult take(Probe& p, char* data, std::size_t size) {
        if (p.tls) return p.tls->receive(data, size);
        return plain(recv(p.fd.get(), data, size, 0), TlsResult::Kind::WantRead);
    }

    void send_rest(Probe& p) {
        const std::string& data = p.request.send;
        while (p.sent < data.size()) {
            const TlsResult r = put(p, data.data() + p.sent, data.size() - p.sent);
            if (r.kind != TlsResult::Kind::Done) return wait_for_more(p, r);
            p.sent += r.bytes;
        }
        if (p.request.expect.empty()) return over(p, "");
        p.phase = Phase::Reading;
        read_some(p); // a session may hold bytes that the socket does not show any more
    }
    void read_some(Probe& p) {
        std::array<char, kMaxRead> buffer;
        for (;;) {
            const TlsResult r = take(p, buffer.data(), kMaxRead - p.received.size());
            const bool closed = r.kind == TlsResult::Kind::Closed;
            if (r.kind != TlsResult::Kind::Done && !closed) return wait_for_more(p, r);
            p.received.append(buffer.data(), r.bytes);
            if (p.received.find(p.request.expect) != std::string::npos) return over(p, "");
            if (closed || p.received.size() == kMaxRead) return over(p, unexpected(p));
        }
    }
    static std::string unexpected(const Probe& p) {
        return "expected \"" + clean_text(p.request.expect, 60) + "\", got \"" +
               clean_text(p.received, 60) + '"';
    }

    void on_timer(std::uint64_t id) {
        const auto it = probes.find(id);
        if (it == probes.end()) return;
        Probe& p = *it->second;
        if (p.phase == Phase::Over) return report(it);
        if (p.phase == Phase::Connecting && p.fd.get() < 0 && now() < p.deadline)
            return connect_unix(p);
        if (p.phase == Phase::Connecting && p.next_address < p.addresses.size())
            return connect_next(p);
        over(p, "timed out");
    }

    // The first end counts; inside start() it waits for the next turn of the loop.
    void over(Probe& p, std::string error) {
        resolver.forget(p.id);
        p.poll.reset();
        p.tls.reset();
        p.fd.reset();
        p.phase = Phase::Over;
        p.result.ok = error.empty();
        p.result.error = std::move(error);
        p.result.took = now() - p.started;
        if (starting) return p.timer.start(0);
        report(probes.find(p.id));
    }
    void report(Probes::iterator it) {
        const auto callback = std::move(it->second->callback);
        TcpResult result = std::move(it->second->result);
        probes.erase(it);
        callback(std::move(result)); // may destroy this
    }

    uv::Loop& loop;
    uv::MonotonicClock clock;
    Resolver resolver;
    TlsContexts contexts;
    Probes probes;
    std::uint64_t next_id = 1;
    bool starting = false;
};

UvTcpProbe::UvTcpProbe(uv::Loop& loop) : impl_(std::make_unique<Impl>(loop)) {}
UvTcpProbe::~UvTcpProbe() = default;

std::uint64_t UvTcpProbe::start(const TcpRequest& request,
                                std::function<void(TcpResult)> callback) {
    const std::uint64_t id = impl_->next_id++;
    auto probe = std::make_unique<Impl::Probe>(impl_->loop,
                                               [impl = impl_.get(), id] { impl->on_timer(id); });
    probe->id = id;
    probe->request = request;
    probe->callback = std::move(callback);
    Impl::Probe& placed = *impl_->probes.emplace(id, std::move(probe)).first->second;
    impl_->starting = true;
    impl_->begin(placed);
    impl_->starting = false;
    return id;
}

void UvTcpProbe::cancel(std::uint64_t id) noexcept {
    impl_->resolver.forget(id);
    impl_->probes.erase(id);
}

} // namespace keepwell
