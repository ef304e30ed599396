// Resolver: host names to addresses by getaddrinfo on libuv's thread pool.
//
// At most two lookups run at once, so that a dead name server cannot starve the pool of file work;
// the others wait in line, and askers of one name share a lookup. Numeric addresses never get here.
// Callbacks come on the loop, never from inside resolve(), not after forget() and not after the
// destructor. They may make any call and may destroy the resolver.
#pragma once

#include "supervisor/uv/loop.h"

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

// "127.0.0.1", "::1", "fe80::1%eth0"; nullopt for a name.
std::optional<SocketAddress> numeric_address(const std::string& host, std::uint16_t port);

class Resolver {
  public:
    struct Answer {
        std::vector<SocketAddress> addresses; // without a port; empty = failed
        std::string error;
    };
    explicit Resolver(uv::Loop&);
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    void resolve(const std::string& host, std::uint64_t asker, std::function<void(const Answer&)>);
    void forget(std::uint64_t asker) noexcept;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_; // lookups under way hold it weakly
};

} // namespace keepwell
