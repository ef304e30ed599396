// Port: one HTTP exchange with one absolute deadline. Never blocks; the callback runs on the loop,
// never from inside start(), exactly once unless cancelled. The body is capped by max_body; what is
// beyond is not read.
#pragma once
#include "units/time.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>
namespace keepwell {
struct HttpRequest {
    std::string method = "GET";
    std::string url;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string unix_socket;
    bool verify_tls = true;
    std::string ca_file;
    std::uint32_t follow_redirects = 0;
    Duration timeout{};
    std::size_t max_body = 64U << 10;
    bool fresh_connection = false; // a reused one has no certificate to look at
};
enum class HttpFailure { None, Resolve, Refused, Unreachable, Tls, Timeout, Other };
struct HttpResult {
    HttpFailure failure = HttpFailure::None;
    std::string error; // "connection refused", "timed out after 5 s"; empty when a response came
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers; // names in lower case
    std::string body;
    Duration took{};
    std::optional<WallTime> cert_expires_at; // https over a new connection that was verified
};
using RequestId = std::uint64_t;
class HttpClient {
  public:
    virtual ~HttpClient() = default;
    virtual RequestId start(const HttpRequest&, std::function<void(HttpResult)>) = 0;
    virtual void cancel(RequestId) noexcept = 0;
};
} // namespace keepwell
