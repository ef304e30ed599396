// Recorder: the running minute of every unit, in memory. Fed with what happens to units, it gives a
// roll-up of each at the end of each minute.
//
// Minutes are those of the wall clock (unix minutes), their lengths are counted on the monotonic
// one: a clock that is set moves where the next minute is written, and never how long it was. What
// comes late is booked up to the exact edge first. A minute in which nobody looked (the whole
// process stood still) is left out, so it is a gap and not a good minute. A call costs the same for
// any number of units, but for the first one after an edge, which closes the minute of all. One
// thread; no I/O.
#pragma once

#include "supervisor/history/roll_up.h"
#include "units/ports/clock.h"
#include "units/types.h"

#include <optional>
#include <string>
#include <vector>

namespace keepwell::history {

struct MinuteRow {
    std::string key;
    std::int64_t minute = 0; // since 1970 UTC
    RollUp roll_up;
};

class Recorder {
  public:
    explicit Recorder(const Clock&);

    void begin(UnitIndex, const std::string& key, Spent);
    bool knows(UnitIndex i) const { return i < units_.size() && units_[i].has_value(); }
    void spent(UnitIndex, Spent); // from now on
    void checked(UnitIndex, bool failed, std::optional<Duration> latency);
    void figures(UnitIndex, std::optional<double> cpu_percent, std::optional<std::uint64_t> memory);
    void restarted(UnitIndex, std::uint32_t times);
    void end(UnitIndex);

    // The minutes that are over, and no minute that runs; at the end of keepwell all of it.
    std::vector<MinuteRow> take();
    std::vector<MinuteRow> take_all();
    // What the minute that runs has so far.
    std::optional<MinuteRow> running(UnitIndex) const;
    Instant edge() const { return end_; } // when the running minute ends
    // The wall clock went on evenly for that long; else old rows are not judged by it.
    bool steady_for(Duration) const;

  private:
    struct Unit {
        std::string key;
        Spent now = Spent::Unknown;
        Instant since;
        RollUp minute;
    };
    Unit* find(UnitIndex);
    void roll();
    void close(Instant at);
    void close(Unit&, Instant at);
    void open(Instant at);

    const Clock& clock_;
    std::vector<std::optional<Unit>> units_; // by index
    std::vector<MinuteRow> closed_;
    std::int64_t minute_ = 0;
    Instant end_, steady_since_;
    std::optional<std::int64_t> offset_ms_; // of the wall clock to the monotonic one
};

} // namespace keepwell::history
