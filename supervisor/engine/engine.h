// Engine: owns every unit's spec and record, one FIFO of events and the timers of the records'
// deadlines.
//
// post() appends; the outermost call drains, so a listener may post from inside a callback without
// recursion. For each event: step() -> the record is replaced -> on_step (persist, timeline,
// publish) -> effects to on_effect, in order -> timers follow the record's deadlines -> dependents
// of a unit whose state or health changed get event::Dependencies. A slot's index stays valid until
// retire()d unit is erased; then it may be reused. One thread; nothing blocks.
//
// What a listener throws ends only the call that threw: the event's other effects, the unit's
// timers and every other unit go on, and on_thrown() tells it; a start that threw is a start that
// failed. A step that throws leaves the record as it was.
#pragma once

#include "units/machine.h"
#include "units/ports/clock.h"
#include "units/ports/timers.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

// Texts that travel with an event: step() never sees them, the timeline does.
struct EventText {
    std::string detail; // check output, error text
    std::string who;    // "uid 0 (pid 4711)", "autostart"
    double took_ms = -1;
};

struct StepInfo {
    UnitIndex unit;
    const UnitSpec& spec;
    const UnitRecord& before;
    const UnitRecord& after;
    const Event& event;
    const EventText& text;
    const EffectList& effects;
    bool changed; // anything but a check's last_at
};

// Who was asked to stop it will not, so it goes on; text.detail says why.
inline bool stop_was_refused(const StepInfo& info) noexcept {
    const auto* e = std::get_if<event::StopFinished>(&info.event);
    return e != nullptr && e->refused && info.before.state == State::Stopping &&
           info.after.state == State::Running;
}

class EngineListener {
  public:
    virtual ~EngineListener() = default;
    virtual void on_step(const StepInfo&) = 0;
    virtual void on_effect(UnitIndex, const Effect&) = 0;
    virtual void on_erased(UnitIndex, const std::string& key) = 0;
    // An exception came out of one of the calls above or of a step. Must not throw itself.
    virtual void on_thrown(const std::string& key, const char* what) noexcept = 0;
};

class Engine {
  public:
    Engine(const Clock&, Timers&, EngineListener&, std::function<double()> jitter);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    // The record may be a restored one; its deadlines are armed. link() must follow once all units
    // are there.
    UnitIndex add(UnitSpec, UnitRecord);
    void link(); // resolves requires/after keys; posts Dependencies where they differ
    void replace(
        UnitIndex,
        UnitSpec); // new spec; counters of checks with an equal id are kept; call link() after
    void retire(UnitIndex);  // stop it, then forget it
    void release(UnitIndex); // forget it and let it run; not from inside a callback
    void post(UnitIndex, Event, EventText = {});

    std::optional<UnitIndex> find(const std::string& key) const;
    const UnitSpec& spec(UnitIndex i) const { return slots_[i]->spec; }
    const UnitRecord& record(UnitIndex i) const { return slots_[i]->record; }
    bool retiring(UnitIndex i) const { return slots_[i]->retiring; }
    std::vector<UnitIndex> all() const; // live slots in the order they were added
    const std::vector<UnitIndex>& dependents(UnitIndex i) const { return slots_[i]->dependents; }
    const std::vector<UnitIndex>& required(UnitIndex i) const { return slots_[i]->required; }
    std::string key_of(UnitIndex i) const;

  private:
    struct Slot {
        UnitSpec spec;
        UnitRecord record;
        struct Armed {
            TimerId id = 0;
            Instant at{};
        };
        std::array<Armed, kTimerCount> timers{};
        std::vector<UnitIndex> required, after, dependents; // dependents: of both kinds
        bool retiring = false;
    };
    struct Item {
        UnitIndex unit;
        Event event;
        EventText text;
    };

    void drain();
    void apply(Item&);
    template <class F>
    bool guarded(UnitIndex, const F&) noexcept; // did it return?
    void sync_timers(UnitIndex);
    void update_dependents(UnitIndex);
    void post_dependencies(UnitIndex);
    event::Dependencies dependencies_of(const Slot&) const;
    void erase_if_done(UnitIndex);
    void erase(UnitIndex);

    const Clock& clock_;
    Timers& timers_;
    EngineListener& listener_;
    std::function<double()> jitter_;
    std::vector<std::unique_ptr<Slot>> slots_;
    std::vector<UnitIndex> order_;
    std::unordered_map<std::string, UnitIndex> by_key_;
    std::deque<Item> queue_;
    bool draining_ = false;
};

} // namespace keepwell
