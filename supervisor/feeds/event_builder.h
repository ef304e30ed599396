// EventBuilder: lines of several sources as log events of at most 200 lines, each with the id of
// the place behind its last line. Pure.
#pragma once

#include "supervisor/feeds/feed_cursor.h"
#include "supervisor/feeds/stream_client.h"
#include "units/time.h"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::feeds {

inline constexpr std::size_t kMostEventLines = 200;
inline constexpr std::size_t kMostEventBytes = 256U << 10; // but for one line

class EventBuilder {
  public:
    // `at`: the places before the first line.
    EventBuilder(std::string boot, FeedCursor at, WallTime now)
        : boot_(std::move(boot)), at_(std::move(at)), now_(now) {}
    void add(const std::string& unit, std::string_view line_json);
    void move_to(std::uint32_t source, FeedCursor::Place); // with the event that is being built
    void set_time(std::int64_t ms) { at_.time_ms = ms; }
    // "gap": lines that are not there any more.
    void gap(std::optional<std::uint64_t> lines, std::string_view reason,
             const std::vector<std::string>& units);
    void heartbeat(bool essential = false);
    std::vector<EventPtr> take(); // what was built, in order
    std::string id() const { return boot_ + "-" + encode(at_); }

  private:
    void flush();

    std::string boot_;
    FeedCursor at_;
    WallTime now_;
    struct Unit {
        std::string name, lines;
    };
    std::vector<Unit> units_;
    std::size_t lines_ = 0, bytes_ = 0;
    std::vector<EventPtr> events_;
};

std::string gap_json(std::optional<std::uint64_t> lines, std::string_view reason,
                     const std::vector<std::string>& units);

} // namespace keepwell::feeds
