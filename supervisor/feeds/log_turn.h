// LogTurn: what LogHub does in one turn that blocks or takes long: it reads sources, and makes the
// events of each topic and of each client on its way into one: redacted, filtered, ready to be
// sent.
//
// run() is for a thread of the pool; until the loop has it back, nobody else touches the topics and
// followers in it. About 8 MiB of lines in a turn; what did not fit is left over for the next one.
// Nothing throws but for want of memory.
#pragma once

#include "supervisor/feeds/feed_cursor.h"
#include "supervisor/feeds/follower.h"
#include "supervisor/feeds/line_text.h"
#include "supervisor/feeds/log_page.h"
#include "supervisor/feeds/stream_client.h"
#include "units/time.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::feeds {

using FollowerPtr = std::shared_ptr<Follower>;

// Clients that ask for the same.
struct Topic {
    std::string type;
    std::string name; // with its filter
    LineFilter filter;
    std::shared_ptr<const LogPlaces> places;
    std::vector<FollowerPtr> followers; // one for each of the places' sources
    std::vector<std::weak_ptr<StreamClient>> clients;
};
using TopicPtr = std::shared_ptr<Topic>;

struct Join { // a client on its way into a topic
    std::weak_ptr<StreamClient> client;
    TopicPtr topic;
    std::size_t backlog = 0;
    std::optional<FeedCursor> from; // where it had been
    bool same_boot = false;
    std::uint32_t asked = 0;
    std::vector<EventPtr> events; // what it missed or what is there already
    EventPtr place;               // an id to come back with
};
using JoinPtr = std::shared_ptr<Join>;

// The places of the topic's sources, as far as its time does not say enough. `before`: the last
// turn.
FeedCursor places_of(const Topic&, bool before, WallTime now);

struct LogTurn {
    struct Hearers { // of a topic
        TopicPtr topic;
        std::vector<EventPtr> events;
    };
    std::string boot, log_dir;
    std::uint64_t epoch = 0, number = 0;
    Redactor redactor;
    WallTime now{};
    std::vector<FollowerPtr> followers; // to be read
    std::vector<Hearers> topics;        // that somebody hears
    std::vector<JoinPtr> joins;

    // What was left over:
    std::vector<FollowerPtr> late;
    std::vector<JoinPtr> late_joins; // no longer in joins

    void run();

  private:
    std::size_t read();
    void tell(Hearers&) const;
    std::size_t prepare(Join&) const;
    std::size_t add_missed(Join&, std::vector<EventPtr>&) const;
    std::size_t add_backlog(Join&, std::vector<EventPtr>&) const;
};

} // namespace keepwell::feeds
