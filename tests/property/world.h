// One unit and the world around it, with an oracle that watches every step.
//
// The oracle is written from the manual's words, not from the code: it counts failures, restarts
// and processes itself and compares. A breach throws std::logic_error with the promise's name, so
// that a search can print the script that led there.
#pragma once

#include "units/machine.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::testing {

// Where the one process of the unit stands, as the keeper would know it.
enum class Process { None, Asked, Alive, OnlyTree };

// Consecutive failures of one check, counted anew from the manual.
struct ReferenceCounter {
    std::uint32_t failures = 0, passes = 0;
    bool tripped = false, passed = false;
};

class World {
  public:
    World(const UnitSpec& spec, Instant now);

    // Applies an event that can happen now, or any other; checks every promise.
    void apply(const Event&, Instant now, double jitter = 0.5);
    // Every event of an older start must change nothing but its count.
    void apply_stale(Instant now);
    // What can happen next, for searches: operator's words, answers to what was asked, due timers.
    std::vector<Event> possible() const;

    const UnitSpec& spec() const { return *spec_; }
    const UnitRecord& record() const { return record_; }
    Process process() const { return process_; }
    Instant now() const { return now_; }
    const std::vector<Effect>& effects() const { return effects_; }
    std::optional<Instant> next_deadline() const;
    std::optional<TimerKind> due_timer() const; // the first that is due now
    std::size_t most_effects() const { return most_effects_; }
    std::string key() const; // equal for worlds that behave alike from here on

  private:
    void see_process(const Event&);
    void see_counters(const Event&, const UnitRecord& before);
    void see_notes(const Event&);
    void see_spawn(const Event&, const UnitRecord& before);
    void see_state(const Event&, const UnitRecord& before) const;
    void see_deadlines() const;
    void see_no_dead_end() const;
    bool noted(NoteKind) const;
    template <class E>
    bool did() const;

    const UnitSpec* spec_;
    UnitRecord record_;
    Instant now_;
    Process process_ = Process::None;
    std::vector<Effect> effects_;
    std::size_t most_effects_ = 0;

    std::vector<ReferenceCounter> counters_;
    std::uint32_t streak_ = 0;     // automatic restarts since the last reset
    std::vector<Instant> charged_; // when restarts were taken from the budget
    Instant not_before_{};         // no automatic spawn before it
    Generation last_spawned_ = 0;
};

} // namespace keepwell::testing
