// Port: connect, optionally send and read until `expect` is seen, close. One absolute deadline, at
// most 4 KiB read. The callback runs on the loop, never from inside start(), exactly once unless
// cancelled.
#pragma once
#include "units/time.h"
#include <cstdint>
#include <functional>
#include <string>
namespace keepwell {
struct TcpRequest {
    std::string host;
    std::uint16_t port = 0;
    std::string send;
    std::string expect;
    Duration timeout{};
};
struct TcpResult {
    bool ok = false;
    std::string error; // "connection refused", "timed out", "expected \"PONG\", got \"-ERR\""
    Duration took{};
};
class TcpProbe {
  public:
    virtual ~TcpProbe() = default;
    virtual std::uint64_t start(const TcpRequest&, std::function<void(TcpResult)>) = 0;
    virtual void cancel(std::uint64_t) noexcept = 0;
};
} // namespace keepwell
