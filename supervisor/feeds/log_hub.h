// LogHub: log lines as server-sent events for many clients. Each source is read once, in the pool,
// however many follow it, and clients that ask for the same share the bytes of their events.
//
// Everything on the loop but LogTurn's work. At rest, without clients, nothing wakes up. A source
// goes on being counted for two minutes after its last client left, so that one that comes back can
// be told how many lines are gone. The places of all sources are in each event's id (for those that
// were quiet lately its time says enough), so a client goes on where it was after a restart of the
// supervisor: from the files.
#pragma once

#include "supervisor/feeds/follow_question.h"
#include "supervisor/feeds/log_page.h"
#include "supervisor/feeds/stream_client.h"
#include "supervisor/uv/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace keepwell::feeds {

class LogHub {
  public:
    struct Options {
        std::uint64_t turn_ms = 100; // between two writes to one client
        std::uint64_t heartbeat_ms = 15'000;
        std::uint64_t look_ms = 1000;    // at what cannot be watched
        std::uint64_t refresh_ms = 5000; // units come and go
        std::uint64_t linger_ms = 120'000;
        std::size_t client_bytes = 1U << 20;
    };
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        std::function<Result<LogPlaces>(const std::string& type)> places;
        std::string boot; // of this run of the supervisor: letters and digits
        std::function<void(const std::string&)> report = {}; // a line for the log
    };
    LogHub(Ports, Options);
    ~LogHub();
    LogHub(const LogHub&) = delete;
    LogHub& operator=(const LogHub&) = delete;

    // The error's code is EINVAL for an id that is none. What is to be redacted and cannot be is an
    // error, too; clients that are there go on as before.
    Result<std::shared_ptr<StreamClient>> follow(FollowQuestion);
    void end_all(); // streams end once what waits is sent
    void beat();    // now: a client that is gone is noticed by what it does not take
    const StreamCounts& counts() const;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace keepwell::feeds
