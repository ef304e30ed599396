// AsyncClient: requests to the control socket beside other descriptors, in one thread.
//
// A callback runs inside wait(), once for each request unless the client goes away before; it may
// begin other requests. Errors are those of Client.
#pragma once

#include "supervisor/cli/client.h"

#include <functional>
#include <memory>
#include <poll.h>
#include <string>
#include <vector>

namespace keepwell::cli {

class AsyncClient {
  public:
    using Done = std::function<void(Result<Response>)>;

    explicit AsyncClient(std::string socket_path);
    ~AsyncClient();
    AsyncClient(const AsyncClient&) = delete;
    AsyncClient& operator=(const AsyncClient&) = delete;

    void get(const std::string& path, long timeout_ms, Done);
    void post(const std::string& path, const std::string& json, long timeout_ms, Done);
    // Until a request has ended, one of `others` is ready (revents are set) or the time is over.
    void wait(std::vector<pollfd>& others, int timeout_ms);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell::cli
