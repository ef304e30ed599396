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

    // Without headers; nullptr for want of memory. The response owns the stream.
    MHD_Response* respond(MHD_Connection*, std::shared_ptr<feeds::Stream>);
    void resume_woken();
    void end_all(); // every one of them ends, now or when it would wait
    std::size_t count() const { return bodies_.size(); }

  private:
    struct Body {
        StreamBodies* owner;
        MHD_Connection* connection;
        std::shared_ptr<feeds::Stream> stream;
        bool suspended = false, woken = false;
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
