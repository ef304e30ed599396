// Connections: who is connected to one listener, and until when each must have gone on: 10 s for a
// whole head of a request, however its bytes drip; 20 s more for its body; and a time for taking
// the answer that grows with it.
//
// The library's own timeout begins anew with each byte. A connection that is late is shut down, and
// the library then finds its end.
#pragma once

#include "supervisor/api/control.h"
#include "supervisor/uv/loop.h"
#include "units/ports/clock.h"

#include <cstddef>
#include <list>
#include <string>

namespace keepwell::api {

struct Connection {
    int fd = -1;
    Peer peer;
    std::string own_address; // where it arrived; empty for the unix socket
    Instant deadline = Instant::max();
    std::list<Connection>::iterator self;
};

class Connections {
  public:
    static constexpr Duration kHead = std::chrono::seconds(10);
    static constexpr Duration kBody = std::chrono::seconds(20);

    Connections(uv::Loop&, const Clock&);
    Connection& opened(int fd); // its request's head is awaited
    void closed(Connection&);
    void expect_head(Connection&);
    void expect_body(Connection&);
    void expect_taken(Connection&, std::size_t answer_bytes);
    void expect_nothing(Connection&); // it waits for us, or takes a stream
    std::size_t size() const { return all_.size(); }

  private:
    void look();
    const Clock& clock_;
    std::list<Connection> all_;
    uv::Timer timer_;
};

} // namespace keepwell::api
