// Port: one question to a name server with one absolute deadline. Never blocks; the callback runs
// on the loop, never from inside start(), exactly once unless cancelled.
#pragma once
#include "units/time.h"
#include "units/unit_spec.h"
#include <cstdint>
#include <functional>
#include <string>
#include <vector>
namespace keepwell {
struct DnsRequest {
    std::string name;
    std::string server; // "1.2.3.4", "1.2.3.4:53", "[::1]:53"; empty = those of resolv.conf
    DnsRecord record = DnsRecord::A;
    Duration timeout{};
};
struct DnsResult {
    // As text: "192.0.2.1", "10 mail.example", "0 5 5060 sip.example", "v=spf1 …"; names without
    // the last dot. Raw bytes of a foreign host. Empty = failed.
    std::vector<std::string> answers;
    std::string error; // "no such name", "the name server failed (SERVFAIL)", "timed out"
    bool timed_out = false;
    Duration took{};
};
class DnsClient {
  public:
    virtual ~DnsClient() = default;
    virtual std::uint64_t start(const DnsRequest&, std::function<void(DnsResult)>) = 0;
    virtual void cancel(std::uint64_t) noexcept = 0;
};
} // namespace keepwell
