// UvTcpProbe: the TcpProbe port on non-blocking sockets and the loop.
//
// A name's addresses are tried one after the other, each with its share of the time that is left;
// the deadline counts from start() and includes the lookup. With neither send nor expect an
// accepted connection is enough. A unix socket whose queue is full is tried again until the
// deadline. Callbacks may make any call and may destroy the probe.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/tcp_probe.h"

#include <memory>

namespace keepwell {

class UvTcpProbe final : public TcpProbe {
  public:
    explicit UvTcpProbe(uv::Loop&);
    ~UvTcpProbe() override;
    UvTcpProbe(const UvTcpProbe&) = delete;
    UvTcpProbe& operator=(const UvTcpProbe&) = delete;

    std::uint64_t start(const TcpRequest&, std::function<void(TcpResult)>) override;
    void cancel(std::uint64_t) noexcept override;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
