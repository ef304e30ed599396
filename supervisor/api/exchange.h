// Exchange: one request and its answer, between the library's calls. Exchanges: all those of one
// listener, and the ones among them whose answer has to wait.
//
// Limits are kept here: 8 KiB of headers, 64 KiB of body, one length. `handle` gives the answer of
// a whole request and may not throw.
#pragma once

#include "supervisor/api/api_counters.h"
#include "supervisor/api/connections.h"
#include "supervisor/api/http_types.h"
#include "supervisor/api/stream_body.h"
#include "supervisor/uv/loop.h"

#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>

struct MHD_Connection;

namespace keepwell::api {

struct Exchange {
    Request request;
    bool begun = false;
    std::optional<Reply> refused; // decided from the headers; said when the body is over
    std::size_t received = 0;
    std::function<Reply()> later;  // of a request that waits for what it has begun
    Instant since{};               // its headers were read
    std::string_view handler = {}; // see Reply
};

class Exchanges {
  public:
    struct Ports {
        const Clock& clock;
        Connections& connections;
        // `later`: of a request that has waited, instead of handling it again.
        std::function<Reply(Request&, const Connection&, const std::function<Reply()>& later)>
            handle;
        std::function<std::string()> security_policy;
        ApiCounters& counters;
        std::function<void()> wake; // something is to be done that no descriptor tells of
    };
    Exchanges(uv::Loop&, Ports);

    // false: the connection is to be closed.
    bool on_request(MHD_Connection*, const char* method, const char* data, std::size_t* size,
                    Exchange&);
    void completed(MHD_Connection*);

    StreamBodies& streams() { return streams_; }
    void notify();     // what is waited for may be there
    void resume_all(); // nobody waits from now on
    std::size_t waiting() const { return waiting_.size(); }

  private:
    struct Waiting {
        MHD_Connection* connection;
        Exchange* exchange;
        Instant until;
        std::function<bool()> ready;
    };
    void begin(MHD_Connection*, const char* method, Exchange&);
    bool receive(const char* data, std::size_t* size, Exchange&);
    bool answer(MHD_Connection*, Exchange&);
    bool send(MHD_Connection*, Exchange&, Reply);
    void count(const Exchange&, const Reply&);
    void look();
    bool resume(bool all);

    Ports p_;
    std::list<Waiting> waiting_;
    bool stopping_ = false;
    StreamBodies streams_;
    uv::Timer look_timer_;
};

} // namespace keepwell::api
