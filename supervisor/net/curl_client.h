// CurlHttpClient: the HttpClient port on libcurl's multi socket interface and the loop.
//
// HTTP/1.1 over TCP or a unix socket, http and https only. Nothing of the environment counts (no
// proxies); redirects are not followed unless asked for; connections are kept and reused. The
// timeout covers name lookup, connecting, TLS and the whole body. A body beyond max_body is cut off
// there and counts as complete; more than 64 KiB of header is an error. Callbacks may make any call
// and may destroy the client; those of cancelled requests are never called, and a destroyed client
// calls nobody. libcurl and its TLS library are set up by the first request: a fleet without HTTP
// checks does without their memory. Names resolve on threads of libcurl's own, which nothing waits
// for.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/http_client.h"

#include <cstddef>
#include <functional>
#include <memory>

namespace keepwell {

class CurlHttpClient final : public HttpClient {
  public:
    // idle_connections: how many are kept open at most (bounded by a quarter of RLIMIT_NOFILE).
    explicit CurlHttpClient(uv::Loop&, std::size_t idle_connections = 16'384);
    ~CurlHttpClient() override;
    CurlHttpClient(const CurlHttpClient&) = delete;
    CurlHttpClient& operator=(const CurlHttpClient&) = delete;

    RequestId start(const HttpRequest&, std::function<void(HttpResult)>) override;
    void cancel(RequestId) noexcept override;

  private:
    struct Impl;
    uv::Loop& loop_;
    std::size_t idle_connections_;
    std::unique_ptr<Impl> impl_; // from the first request on
};

} // namespace keepwell
