// Listener: one MHD daemon on one listening socket, joined to the loop and without threads.
//
// Does not own the socket, which must outlive it. The destructor answers what waits, then closes
// every connection. Out of descriptors it pauses instead of spinning. stop_accepting() leaves the
// socket to a successor while connections go on to their end.
#pragma once

#include "supervisor/api/exchange.h"
#include "units/result.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace keepwell::api {

struct TlsIdentity { // PEM texts
    std::string certificate, key;
};

class Listener {
  public:
    struct Setup {
        int socket = -1;
        std::string name; // for messages: "control API", "127.0.0.1:5001"
        unsigned connections = 512;
        unsigned connections_per_address = 0; // 0 = no limit of its own
        std::optional<TlsIdentity> tls;
    };
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        std::function<Reply(Request&, const Connection&, const std::function<Reply()>& later)>
            handle;
        std::function<std::string()> security_policy;
        ApiCounters& counters;
        std::function<void(const std::string&)> report;
        std::function<void(const std::string&)> detail = {}; // of no consequence
    };
    static Result<std::unique_ptr<Listener>> open(const Setup&, Ports);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    void notify();
    std::size_t waiting() const;
    std::size_t connections() const;
    std::size_t review_streams(); // see StreamBodies::review()
    void stop_accepting();

  private:
    struct Impl;
    explicit Listener(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell::api
