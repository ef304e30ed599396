// What the history is written from and what it gives back, as plain values.
#pragma once

#include "supervisor/history/range.h"
#include "supervisor/history/recorder.h"
#include "units/time.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::history {

struct EventRow { // a line of the timeline
    std::uint64_t sequence = 0;
    WallTime time;
    std::string service, kind, subject, text, detail;
};

struct ChangeRow { // of a unit's state or verdict
    WallTime time;
    std::string key, state, verdict, reason;
};

struct StepRow { // the letters of the status document's history, one a unit
    WallTime time;
    std::vector<std::pair<std::string, char>> letters;
};

struct Batch {
    WallTime now;
    bool trim = false; // `now` can be trusted: what is too old goes
    std::vector<MinuteRow> minutes;
    std::vector<EventRow> events;
    std::vector<ChangeRow> changes;
    std::optional<StepRow> step;

    std::size_t rows() const {
        return minutes.size() + events.size() + changes.size() + (step ? step->letters.size() : 0);
    }
    bool empty() const { return rows() == 0; }
};

struct Limits {
    Duration minute = std::chrono::hours(24);    // minutes are kept that long
    Duration hour = std::chrono::hours(90 * 24); // hours and everything else
    std::uint64_t max_size = 256ULL << 20;       // of the database
    std::uint64_t max_events = 200'000, max_changes = 200'000;
    bool operator==(const Limits&) const = default;
};

struct Point {
    WallTime time; // its beginning
    RollUp roll_up;
};

struct Story { // the answer for one unit
    std::string key;
    Range range = Range::Day;
    std::vector<Point> points;
    std::vector<ChangeRow> changes; // the newest of the range
};

// Windows that uptime is counted over: 1h 24h 7d 30d.
inline constexpr std::size_t kWindows = 4;
struct UpDown {
    std::int64_t up_ms = 0, down_ms = 0;
};
using Uptime = std::array<UpDown, kWindows>;
using Uptimes = std::map<std::string, Uptime>; // by key

// Letters of the last steps, the newest last, up to `now`; 'X' where nobody looked.
struct Steps {
    std::map<std::string, std::string> letters; // by key
    WallTime last;                              // the newest step that was made; 0 = none
};

} // namespace keepwell::history
