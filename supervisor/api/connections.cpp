#include "supervisor/api/connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace keepwell::api {

namespace {

constexpr std::uint64_t kDeadlineLookMs = 1000;
constexpr Duration kTake = std::chrono::seconds(30);
constexpr std::size_t kSlowestBytesPerSecond = 32U << 10;

std::string text_of(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = {};
    if (address.ss_family == AF_INET)
        inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text,
                  sizeof text);
    if (address.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text,
                  sizeof text);
    return text;
}

Peer peer_of(int fd) {
    Peer peer;
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
        address.ss_family != AF_UNIX) {
        peer.address = text_of(address);
        return peer;
    }
    ucred cred{};
    size = sizeof cred;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) return peer;
    peer.uid = static_cast<std::int64_t>(cred.uid);
    peer.pid = static_cast<std::int64_t>(cred.pid);
    return peer;
}

std::string own_address_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) < 0) return "";
    return text_of(address);
}

} // namespace

Connections::Connections(uv::Loop& loop, const Clock& clock)
    : clock_(clock), timer_(loop, [this] { look(); }) {
    timer_.unref();
}

Connection& Connections::opened(int fd) {
    if (all_.empty()) timer_.start(kDeadlineLookMs, kDeadlineLookMs);
    const auto it = all_.insert(all_.end(), Connection{});
    it->fd = fd;
    it->peer = peer_of(fd);
    it->own_address = own_address_of(fd);
    it->self = it;
    expect_head(*it);
    return *it;
}

void Connections::closed(Connection& c) {
    all_.erase(c.self);
    if (all_.empty()) timer_.stop();
}

void Connections::expect_head(Connection& c) { c.deadline = clock_.now() + kHead; }
void Connections::expect_body(Connection& c) { c.deadline = clock_.now() + kBody; }
void Connections::expect_nothing(Connection& c) { c.deadline = Instant::max(); }
void Connections::expect_taken(Connection& c, std::size_t answer_bytes) {
    c.deadline = clock_.now() + kTake + std::chrono::seconds(answer_bytes / kSlowestBytesPerSecond);
}

void Connections::look() {
    const Instant now = clock_.now();
    for (Connection& c : all_) {
        if (now < c.deadline) continue;
        c.deadline = Instant::max();
        ::shutdown(c.fd, SHUT_RDWR);
    }
}

} // namespace keepwell::api
