// StreamClient: one reader of server-sent events: a bounded queue of events that it shares with
// others, written at most once a turn. Everything on the loop.
//
// A reader that is too slow loses the oldest events; before the next one it gets one `gap` event
// with the number of lines lost. An event that was begun is never cut.
#pragma once

#include "supervisor/feeds/stream.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace keepwell::feeds {

struct StreamEvent {
    std::string bytes; // "id: …\ndata: …\n\n"
    std::size_t lines = 0;
    bool essential = true; // else left out when anything else waits: a heartbeat
};
using EventPtr = std::shared_ptr<const StreamEvent>;

// "event: NAME\nid: ID\ndata: DATA\n\n"; without what is empty.
std::string event_text(std::string_view name, std::string_view id, std::string_view data);

struct StreamCounts { // of one hub
    std::size_t clients = 0;
    std::uint64_t dropped = 0; // events that clients were too slow for
};

class StreamClient final : public Stream {
  public:
    struct Options {
        std::size_t most_bytes = 1U << 20; // waiting
        std::string first = "retry: 3000\n\n";
        // What tells of lost events; with the number of lines in them.
        std::function<std::string(std::size_t events, std::size_t lines)> gap;
    };
    StreamClient(Options options, const std::uint64_t& turn, std::shared_ptr<StreamCounts> counts);
    ~StreamClient() override;
    StreamClient(const StreamClient&) = delete;
    StreamClient& operator=(const StreamClient&) = delete;

    std::optional<std::size_t> read(char* to, std::size_t size) override;
    void on_wake(std::function<void()> wake) override { wake_ = std::move(wake); }

    void push(EventPtr event);
    void wake() const { // when it has something to say
        if (wake_ && ready()) wake_();
    }
    bool waiting() const { return begun_ || !queue_.empty() || lost_events_ > 0; }
    void end(); // what waits is sent, then the end
    // What it holds goes with it.
    void keep(std::shared_ptr<void> token) { token_ = std::move(token); }
    // More may wait for the moment: what was asked for at the beginning.
    void allow(std::size_t bytes) { allowed_ = bytes; }
    std::size_t queued() const { return bytes_; }

  private:
    bool ready() const { return begun_ || ended_ || (waiting() && written_in_ != turn_); }
    bool begin_next();
    void make_room();

    Options options_;
    const std::uint64_t& turn_; // of the hub; one event in each
    std::shared_ptr<StreamCounts> counts_;
    std::deque<EventPtr> queue_;
    std::size_t bytes_ = 0, allowed_ = 0; // in the queue
    EventPtr begun_;
    std::size_t sent_ = 0; // of begun_
    std::size_t lost_events_ = 0, lost_lines_ = 0;
    std::uint64_t written_in_ = 0; // a turn
    std::function<void()> wake_;
    std::shared_ptr<void> token_;
    bool ended_ = false;
};

} // namespace keepwell::feeds
