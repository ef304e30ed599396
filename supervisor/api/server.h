// ApiServer: the control API over HTTP on a unix socket and on TCP addresses, on the loop and
// without threads.
//
// Requests reach Control on the loop, one at a time; a slow or silent client costs a connection and
// nothing else, and each listener has its own. Control and Clock must outlive the server; the
// destructor answers what it can, once more through Control, then closes everything and removes the
// socket. Not to be destroyed from inside a call of Control. Without the unix socket there is no
// server; a TCP address that cannot be had is reported and tried again.
#pragma once

#include "supervisor/api/api_counters.h"
#include "supervisor/api/control.h"
#include "units/ports/clock.h"
#include "units/result.h"
#include "units/unit_spec.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keepwell {

namespace uv {
class Loop;
}

class ApiServer {
  public:
    struct Options {
        std::string socket_path;                             // runtime_dir/control.sock
        std::string group = "keepwell";                      // may use it where the group exists
        std::vector<std::string> listen = {};                // "127.0.0.1:5001"
        ApiSpec api = {};                                    // tokens_file is the real path
        std::function<void(const std::string&)> audit = {};  // one line for each change
        std::function<void(const std::string&)> detail = {}; // of no consequence: for debugging
        std::uint64_t review_ms = 5'000; // between looks at who still may follow a stream
    };
    using Report = std::function<void(const std::string&)>; // one line for the log, cleaned

    static Result<std::unique_ptr<ApiServer>> open(uv::Loop&, const Clock&, Control&,
                                                   const Options&, Report);
    ~ApiServer();
    ApiServer(const ApiServer&) = delete;
    ApiServer& operator=(const ApiServer&) = delete;

    // Something that a waiting client may wait for is new: an event, an action's progress. Waiting
    // requests are looked at every 50 ms anyhow.
    void notify();
    std::size_t waiting() const; // requests that are waiting
    ApiCounters& counters();     // of what was answered, for /metrics
    // Another configuration; addresses stay as they are, certificates are read anew. One that
    // cannot be used is reported, and the one of before goes on.
    void set(const ApiSpec&);
    // Where TCP clients find it: "http://127.0.0.1:5001".
    std::vector<std::string> addresses() const;

  private:
    struct Impl;
    explicit ApiServer(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
