#include "supervisor/api/tcp_socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace keepwell::api {

namespace {

struct Place {
    sockaddr_storage address{};
    socklen_t size = 0;
    std::string host; // as it is written, with the brackets of IPv6
};

std::optional<Place> parse(std::string_view listen) {
    const auto colon = listen.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::uint16_t port = 0;
    const std::string_view digits = listen.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    Place place;
    place.host = std::string(listen.substr(0, colon));
    if (place.host == "localhost") place.host = "127.0.0.1";
    auto* v4 = reinterpret_cast<sockaddr_in*>(&place.address);
    if (inet_pton(AF_INET, place.host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        place.size = sizeof *v4;
        return place;
    }
    if (!place.host.starts_with('[') || !place.host.ends_with(']')) return std::nullopt;
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&place.address);
    const std::string inner = place.host.substr(1, place.host.size() - 2);
    if (inet_pton(AF_INET6, inner.c_str(), &v6->sin6_addr) != 1) return std::nullopt;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    place.size = sizeof *v6;
    return place;
}

Error failure(const std::string& listen) {
    const int code = errno;
    const char* advice = "check the address";
    if (code == EADDRINUSE)
        advice = "another program has that port: stop it (ss -ltnp shows it) or set another one";
    if (code == EACCES) advice = "ports below 1024 need root";
    if (code == EADDRNOTAVAIL) advice = "this machine has no such address";
    if (code == EAFNOSUPPORT) advice = "this machine has no IPv6";
    return Error{fmt::format("cannot listen on {}: {}; {} (supervisor.listen)", listen,
                             std::strerror(code), advice),
                 code};
}

} // namespace

bool is_loopback(std::string_view listen) noexcept {
    const auto place = parse(listen);
    if (!place) return false;
    if (place->address.ss_family == AF_INET)
        return ntohl(reinterpret_cast<const sockaddr_in&>(place->address).sin_addr.s_addr) >> 24 ==
               127;
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(place->address).sin6_addr);
}

Result<TcpSocket> TcpSocket::open(const std::string& listen) {
    auto place = parse(listen);
    if (!place) {
        errno = EINVAL;
        return failure(listen);
    }
    const int fd =
        ::socket(place->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failure(listen);
    TcpSocket made(fd, "");
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (place->address.ss_family == AF_INET6)
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    auto* address = reinterpret_cast<sockaddr*>(&place->address);
    if (::bind(fd, address, place->size) < 0 || ::listen(fd, 512) < 0) return failure(listen);
    if (::getsockname(fd, address, &place->size) < 0) return failure(listen);
    const bool v6 = place->address.ss_family == AF_INET6;
    const auto port = v6 ? reinterpret_cast<sockaddr_in6*>(address)->sin6_port
                         : reinterpret_cast<sockaddr_in*>(address)->sin_port;
    made.address_ = fmt::format("{}:{}", place->host, ntohs(port));
    return made;
}

TcpSocket::TcpSocket(TcpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), address_(std::move(other.address_)) {}

TcpSocket::~TcpSocket() {
    if (fd_ >= 0) ::close(fd_);
}

} // namespace keepwell::api
