// EventHub: what happens in the supervisor as server-sent events for panels: hello, status, action,
// alert, heartbeat. Clients share the bytes of every event. Everything on the loop.
//
// A client gets `hello` first and reads the whole document then (GET /api/status); each `status`
// event has what changed since. One that is too slow gets `gap` and reads the document again. At
// rest, without clients, nothing wakes up.
#pragma once

#include "supervisor/feeds/stream_client.h"
#include "supervisor/uv/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keepwell::feeds {

class EventHub {
  public:
    struct Options {
        std::uint64_t turn_ms = 100;
        std::uint64_t heartbeat_ms = 15'000;
        std::size_t client_bytes = 1U << 20;
    };
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        std::string boot;
        std::function<std::string()> hello;  // JSON
        std::function<std::string()> status; // what changed since its last call; empty = nothing
        std::function<void()> begin;         // what changed until now is in the whole document
        std::function<std::vector<std::string>()> actions; // JSON of those that got on
    };
    EventHub(Ports, Options);
    ~EventHub();
    EventHub(const EventHub&) = delete;
    EventHub& operator=(const EventHub&) = delete;

    std::shared_ptr<StreamClient> follow();
    void changed();                                                 // there may be news
    void publish(const std::string& name, const std::string& json); // an alert
    void end_all();
    void beat(); // now: a client that is gone is noticed by what it does not take
    const StreamCounts& counts() const { return *counts_; }

  private:
    void turn();
    void arm();
    void send(const std::string& name, const std::string& json, bool essential = true);
    std::string next_id();
    bool any();

    Ports p_;
    Options options_;
    std::shared_ptr<StreamCounts> counts_ = std::make_shared<StreamCounts>();
    std::vector<std::weak_ptr<StreamClient>> clients_;
    std::uint64_t turn_ = 1, sequence_ = 0;
    bool armed_ = false, news_ = false;
    Instant turned_at_{};
    uv::Timer turn_timer_, beat_timer_;
};

} // namespace keepwell::feeds
