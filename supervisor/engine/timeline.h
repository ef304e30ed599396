// Timeline: what happened, as lines in one global order and, for each unit, as stories for
// `keepwell why`.
//
// A story begins with the first line while none is open and ends when its unit has settled:
// healthy, stopped, completed or failed. A story with trouble in it is an incident. Bounded: the
// last 4,096 lines, 8 stories a unit, 120 lines a story, and 8,192 lines in all stories, beyond
// which the oldest stories go, but never the last one of a unit. New lines are handed to `save` as
// JSON, one each, so that they can be appended to a file and given back to restore() after a
// restart. One thread.
#pragma once

#include "supervisor/engine/engine.h"
#include "units/ports/clock.h"
#include "units/snapshot.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

struct TimelineLine {
    std::uint64_t sequence = 0;
    WallTime time;
    std::string service, kind, subject, text, detail;
    std::uint64_t story = 0;
    std::string outcome; // of the story, when this line ends it: healthy stopped completed failed
    bool trouble = false;
};

class Timeline {
  public:
    Timeline(const Clock&, std::function<std::string(UnitIndex)> key_of,
             std::function<void(std::string)> save);

    void record(const StepInfo&);
    // A line that no step caused: a log that cannot be written, an audit of an operator, keepwell's
    // own start.
    void add(const std::string& service, const std::string& kind, const std::string& text);
    // The same, as part of the unit's open story.
    void note(const std::string& service, const std::string& kind, const std::string& text);
    void restore(const TimelineLine&);
    // Is told every new line, after it was saved.
    void set_listener(std::function<void(const TimelineLine&)> listener) {
        listener_ = std::move(listener);
    }
    std::vector<TimelineLine> lines_since(WallTime) const; // that are still in memory
    void forget(const std::string& service);

    std::string why_json(const std::string& service, const std::string& next) const;
    std::string events_json(std::uint64_t since, std::size_t limit) const;
    std::uint64_t last_sequence() const { return sequence_; }
    std::optional<IncidentView> last_incident() const { return last_incident_; }

  private:
    // A line at rest: its texts one behind the other, since there are tens of thousands.
    struct Packed {
        std::uint64_t sequence = 0;
        WallTime time;
        std::string texts; // service, kind, subject, text, detail; each ended by a NUL
    };
    struct Story {
        std::uint64_t id = 0;
        WallTime from, until, down_at;
        std::string outcome; // empty = open
        std::string reason;  // text of the first trouble
        std::vector<std::shared_ptr<const Packed>> lines;
        std::size_t left_out = 0;
    };
    static Packed pack(const TimelineLine&);
    static TimelineLine unpack(const Packed&);
    void make_room();
    void add_line(const std::string& service, const std::string& kind, const std::string& text,
                  std::uint64_t story);
    void append(const TimelineLine&);
    Story& story_for(const TimelineLine&);
    void write_story(class JsonWriter&, const Story&) const;

    const Clock& clock_;
    std::function<std::string(UnitIndex)> key_of_;
    std::function<void(std::string)> save_;
    std::function<void(const TimelineLine&)> listener_;
    std::uint64_t sequence_ = 0;
    std::uint64_t next_story_ = 1;
    std::deque<std::shared_ptr<const Packed>> lines_;
    std::unordered_map<std::string, std::vector<Story>> stories_;
    std::size_t story_lines_ = 0; // in all stories
    std::optional<IncidentView> last_incident_;
};

} // namespace keepwell
