// Port: connect (to host and port, or to a unix stream socket), optionally send and read until
// `expect` is seen, close. One absolute deadline, at most 4 KiB read. The callback runs on the
// loop, never from inside start(), exactly once unless cancelled.
#pragma once
#include "units/time.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
namespace keepwell {
struct TcpRequest {
    std::string host;
    std::uint16_t port = 0;
    std::string unix_socket; // a path; instead of host and port
    std::string send;
    std::string expect;
    bool tls = false; // a handshake comes first; its name is the host
    bool verify_tls = true;
    std::string ca_file;
    Duration timeout{};
};
struct TcpResult {
    bool ok = false;
    std::string error; // "connection refused", "timed out", "expected \"PONG\", got \"-ERR\""
    Duration took{};
    std::optional<WallTime> cert_expires_at;
};
class TcpProbe {
  public:
    virtual ~TcpProbe() = default;
    virtual std::uint64_t start(const TcpRequest&, std::function<void(TcpResult)>) = 0;
    virtual void cancel(std::uint64_t) noexcept = 0;
};
} // namespace keepwell
