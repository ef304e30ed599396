// CaresClient: the DnsClient port on c-ares, driven by the loop: no thread, no lookup that blocks.
//
// Every question has a channel of its own, so that one can be cancelled and resolv.conf is read
// anew each time. A question to a server that is silent is asked again (three times within its
// timeout); an answer that is cut is asked for over TCP.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/dns_client.h"

#include <memory>

namespace keepwell {

class CaresClient final : public DnsClient {
  public:
    explicit CaresClient(uv::Loop&);
    ~CaresClient() override;
    CaresClient(const CaresClient&) = delete;
    CaresClient& operator=(const CaresClient&) = delete;

    std::uint64_t start(const DnsRequest&, std::function<void(DnsResult)>) override;
    void cancel(std::uint64_t) noexcept override;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
