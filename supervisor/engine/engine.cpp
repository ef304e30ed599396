#include "supervisor/engine/engine.h"

#include <algorithm>
#include <cerrno>
#include <exception>

namespace keepwell {

namespace {

bool differs(const UnitRecord& a, const UnitRecord& b) {
    if (a == b) return false;
    // A passing check's time alone is not worth a write of the state file or a new snapshot on its
    // own.
    if (a.checks.size() != b.checks.size()) return true;
    UnitRecord c = a;
    for (std::size_t i = 0; i < c.checks.size(); ++i) c.checks[i].last_at = b.checks[i].last_at;
    return !(c == b);
}

bool settled(State s) {
    switch (s) {
    case State::Starting:
    case State::Waiting: return false;
    case State::Stopped:
    case State::Running:
    case State::Stopping:
    case State::Backoff:
    case State::Cooldown:
    case State::Completed:
    case State::Failed:
    case State::Unknown: return true;
    }
    return true;
}

// A required unit lets its dependents run: it is up (or has done its work) and its verdict is not
// down.
bool carries(const UnitRecord& r) {
    return (r.state == State::Running && r.health != Verdict::Down) || r.state == State::Completed;
}

} // namespace

Engine::Engine(const Clock& clock, Timers& timers, EngineListener& listener,
               std::function<double()> jitter)
    : clock_(clock), timers_(timers), listener_(listener), jitter_(std::move(jitter)) {}

Engine::~Engine() {
    for (const auto& slot : slots_)
        if (slot)
            for (const auto& armed : slot->timers)
                if (armed.id != 0) timers_.cancel(armed.id);
}

UnitIndex Engine::add(UnitSpec spec, UnitRecord record) {
    auto slot = std::make_unique<Slot>();
    slot->spec = std::move(spec);
    slot->record = std::move(record);
    const auto free = std::find(slots_.begin(), slots_.end(), nullptr);
    const auto index = static_cast<UnitIndex>(free - slots_.begin());
    by_key_[slot->spec.key] = index;
    if (free == slots_.end())
        slots_.push_back(std::move(slot));
    else
        *free = std::move(slot);
    order_.push_back(index);
    sync_timers(index);
    return index;
}

void Engine::link() {
    for (const auto& s : slots_)
        if (s) {
            s->required.clear();
            s->after.clear();
            s->dependents.clear();
        }
    for (const UnitIndex i : order_) {
        Slot& slot = *slots_[i];
        const auto resolve = [&](const std::vector<std::string>& keys, std::vector<UnitIndex>& to) {
            for (const auto& key : keys)
                if (const auto other = find(key); other && *other != i) {
                    to.push_back(*other);
                    slots_[*other]->dependents.push_back(i);
                }
        };
        resolve(slot.spec.requires_units, slot.required);
        resolve(slot.spec.after, slot.after);
    }
    for (const UnitIndex i : order_) post_dependencies(i);
}

void Engine::replace(UnitIndex i, UnitSpec spec) {
    Slot& slot = *slots_[i];
    std::vector<CheckCounter> counters(spec.checks.size());
    for (std::size_t n = 0; n < spec.checks.size(); ++n) {
        counters[n].enabled = spec.checks[n].enabled;
        const auto& old = slot.spec.checks;
        const auto same = std::find_if(old.begin(), old.end(),
                                       [&](const auto& c) { return c.id == spec.checks[n].id; });
        if (same == old.end()) continue;
        counters[n] = slot.record.checks[static_cast<std::size_t>(same - old.begin())];
        if (same->enabled != spec.checks[n].enabled) counters[n].enabled = spec.checks[n].enabled;
    }
    slot.record.checks = std::move(counters);
    slot.spec = std::move(spec);
    post(i, event::Reconfigured{});
}

void Engine::retire(UnitIndex i) {
    slots_[i]->retiring = true;
    post(i, event::Stop{}, {"", "removed from the configuration", -1});
}

void Engine::post(UnitIndex i, Event event, EventText text) {
    queue_.push_back({i, event, std::move(text)});
    if (!draining_) drain();
}

void Engine::drain() {
    draining_ = true;
    while (!queue_.empty()) {
        Item item = std::move(queue_.front());
        queue_.pop_front();
        if (item.unit < slots_.size() && slots_[item.unit])
            guarded(item.unit, [&] { apply(item); });
    }
    draining_ = false;
}

// The unit may be gone when the call is over.
template <class F>
bool Engine::guarded(UnitIndex i, const F& call) noexcept {
    try {
        call();
        return true;
    } catch (const std::exception& e) {
        const bool known = i < slots_.size() && slots_[i];
        listener_.on_thrown(known ? slots_[i]->spec.key : "?", e.what());
    }
    return false;
}

void Engine::apply(Item& item) {
    Slot& slot = *slots_[item.unit];
    const UnitRecord before = slot.record;
    Step next = step(slot.spec, before, item.event, clock_.now(), jitter_());
    slot.record = std::move(next.record);
    const bool changed = differs(before, slot.record);
    guarded(item.unit, [&] {
        listener_.on_step({item.unit, slot.spec, before, slot.record, item.event, item.text,
                           next.effects, changed});
    });
    for (const Effect& effect : next.effects) {
        if (std::holds_alternative<Note>(effect)) continue;
        const bool done = guarded(item.unit, [&] { listener_.on_effect(item.unit, effect); });
        // A stop has a deadline of its own; for a start nobody else would answer.
        if (const auto* spawn = std::get_if<effect::Spawn>(&effect); spawn != nullptr && !done)
            post(item.unit,
                 event::SpawnFailed{spawn->generation, SpawnStage::Prepare, ENOMEM, true},
                 {"internal error", "", -1});
    }
    sync_timers(item.unit);
    if (before.state != slot.record.state || before.health != slot.record.health)
        update_dependents(item.unit);
    erase_if_done(item.unit);
}

void Engine::sync_timers(UnitIndex i) {
    Slot& slot = *slots_[i];
    for (std::size_t k = 0; k < kTimerCount; ++k) {
        const auto& wanted = slot.record.deadlines[k];
        auto& armed = slot.timers[k];
        if (armed.id != 0 && wanted && *wanted == armed.at) continue;
        if (armed.id != 0) timers_.cancel(armed.id);
        armed.id = 0;
        if (!wanted) continue;
        armed.at = *wanted;
        armed.id = timers_.arm(*wanted, [this, i, k] {
            slots_[i]->timers[k].id = 0;
            post(i, event::Timer{static_cast<TimerKind>(k)});
        });
    }
}

event::Dependencies Engine::dependencies_of(const Slot& slot) const {
    event::Dependencies d{};
    for (const UnitIndex r : slot.required)
        if (!carries(slots_[r]->record)) {
            d.blocked_by = r;
            d.hold = r;
            return d;
        }
    for (const UnitIndex a : slot.after) {
        const UnitRecord& other = slots_[a]->record;
        // Order only: wait while it is on its way up for the first time, not for ever.
        if (other.desired == Desired::Running && !settled(other.state)) {
            d.hold = a;
            return d;
        }
    }
    return d;
}

void Engine::post_dependencies(UnitIndex i) {
    const Slot& slot = *slots_[i];
    const auto now = dependencies_of(slot);
    if (now.blocked_by != slot.record.blocked_by || now.hold != slot.record.hold) post(i, now);
}

void Engine::update_dependents(UnitIndex i) {
    for (const UnitIndex d : slots_[i]->dependents) post_dependencies(d);
}

void Engine::erase_if_done(UnitIndex i) {
    const Slot& slot = *slots_[i];
    if (!slot.retiring || slot.record.tree_alive || slot.record.main_alive) return;
    if (slot.record.state != State::Stopped && slot.spec.kind != UnitKind::External) return;
    erase(i);
}

void Engine::release(UnitIndex i) { erase(i); }

void Engine::erase(UnitIndex i) {
    const Slot& slot = *slots_[i];
    const std::string key = slot.spec.key;
    for (const auto& armed : slot.timers)
        if (armed.id != 0) timers_.cancel(armed.id);
    std::erase(order_, i);
    if (const auto it = by_key_.find(key); it != by_key_.end() && it->second == i)
        by_key_.erase(it);
    slots_[i].reset();
    listener_.on_erased(i, key);
    link();
}

std::optional<UnitIndex> Engine::find(const std::string& key) const {
    const auto it = by_key_.find(key);
    if (it == by_key_.end()) return std::nullopt;
    return it->second;
}

std::vector<UnitIndex> Engine::all() const { return order_; }

std::string Engine::key_of(UnitIndex i) const {
    return i < slots_.size() && slots_[i] ? slots_[i]->spec.key : "?";
}

} // namespace keepwell
