// StreamBodies: the answers of one MHD daemon that go on, pulled by MHD and suspended while there
// is nothing to send.
//
// MHD does not notice on its own that a connection was resumed: `run_soon` must see to it that
// resume_woken() and then MHD_run() are called soon, not from inside it. At the end: end_all(),
// then MHD_run(), before the daemon is stopped.
#pragma once

#include "supervisor/feeds/stream.h"

#include <functional>
#include <list>
#include <memory>

struct MHD_Connection;
struct MHD_Response;

namespace keepwell::api {

class StreamBodies {
  public:
    explicit StreamBodies(std::function<void()> run_soon) : run_soon_(std::move(run_soon)) {}
    StreamBodies(const StreamBodies&) = delete;
    StreamBodies& operator=(const StreamBodies&) = delete;

    // Without headers; nullptr for want of memory. The response owns the stream. Once review()
    // finds that it may not go on it ends, whatever it has to say; without may_go_on it always may.
    MHD_Response* respond(MHD_Connection*, std::shared_ptr<feeds::Stream>,
                          std::function<bool()> may_go_on);
    void resume_woken();
    std::size_t review(); // gives how many there are that may not always go on
    void end_all();       // every one of them ends, now or when it would wait

  private:
    struct Body {
        StreamBodies* owner;
        MHD_Connection* connection;
        std::shared_ptr<feeds::Stream> stream;
        std::function<bool()> may_go_on;
        bool suspended = false, woken = false, over = false;
        std::list<Body*>::iterator place;
    };
    static long read_edge(void* body, unsigned long long, char* to, std::size_t size) noexcept;
    static void free_edge(void* body) noexcept;
    long read(Body&, char* to, std::size_t size);

    std::function<void()> run_soon_;
    std::list<Body*> bodies_;
    bool ended_ = false;
};

} // namespace keepwell::api
