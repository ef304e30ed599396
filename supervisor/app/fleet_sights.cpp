// Fleet's half that takes what is seen of units that others may start and stop too.
#include "supervisor/app/fleet.h"

#include "supervisor/engine/names.h"

#include <algorithm>

namespace keepwell {

void Fleet::on_started(const std::string& key, Generation g, std::int64_t pid, Instant started_at) {
    if (const auto i = engine_.find(key)) engine_.post(*i, event::Spawned{g, pid, started_at});
}

void Fleet::on_appeared(const std::string& key, std::int64_t pid, Instant started_at,
                        const std::string& text) {
    const auto i = engine_.find(key);
    if (i && !shutting_down()) engine_.post(*i, event::Appeared{pid, started_at}, {text, "", -1});
}

bool Fleet::starting(const std::string& key) const {
    const auto i = engine_.find(key);
    return i && engine_.record(*i).state == State::Starting && !engine_.record(*i).main_alive;
}

void Fleet::on_main_gone(const std::string& key, const ExitStatus& status) {
    if (const auto i = engine_.find(key))
        engine_.post(*i, event::Exited{engine_.record(*i).generation, status});
}

void Fleet::on_tree_gone(const std::string& key) {
    if (const auto i = engine_.find(key))
        engine_.post(*i, event::TreeEmpty{engine_.record(*i).generation});
}

void Fleet::on_absent(const std::string& key, bool on_purpose, const ExitStatus& status,
                      const std::string& text) {
    const auto i = engine_.find(key);
    if (!i) return;
    const UnitRecord& r = engine_.record(*i);
    const bool never_seen = r.generation == 0 && r.state == State::Unknown;
    if (never_seen && !on_purpose && !shutting_down() && !engine_.retiring(*i) &&
        wanted(engine_.spec(*i)) == Desired::Running)
        return engine_.post(*i, event::Start{}, {"", "autostart", -1});
    engine_.post(*i, event::Absent{on_purpose, status}, {text, "", -1});
    if (!patterns_.empty() && on_purpose)
        p_.timers.arm(p_.clock.now(), [this, key] { forget_found(key); });
}

void Fleet::on_stop_refused(const std::string& key, Generation g, const std::string& text,
                            bool transient) {
    if (const auto i = engine_.find(key))
        engine_.post(*i, event::StopFinished{g, false, true, transient}, {text, "", -1});
}

void Fleet::on_held(const std::string& key, const ExitStatus& status, const std::string& text) {
    if (const auto i = engine_.find(key)) engine_.post(*i, event::Held{status}, {text, "", -1});
}

void Fleet::on_blind(const std::string& key, Blindness why, const std::string& text) {
    if (const auto i = engine_.find(key)) engine_.post(*i, event::Blind{why}, {text, "", -1});
}

// ---- patterns: one specification, as many units as systemd has of the kind

std::optional<UnitIndex> Fleet::introduce(UnitSpec spec, bool restore) {
    if (!spec.systemd.is_pattern()) return add_unit(std::move(spec), restore);
    const std::string key = spec.key;
    Pattern& pattern = patterns_[key];
    pattern.spec = std::move(spec);
    p_.processes.watch(pattern.spec);
    return std::nullopt;
}

void Fleet::on_discovered(const std::string& pattern_key, const std::string& unit) {
    const auto p = patterns_.find(pattern_key);
    if (p == patterns_.end() || shutting_down()) return;
    UnitSpec spec = p->second.spec;
    spec.key = instance_key(pattern_key, unit);
    if (engine_.find(spec.key)) return;
    spec.name = p->second.spec.name == pattern_key ? spec.key : p->second.spec.name + " " + unit;
    spec.systemd.unit = unit;
    p->second.units.insert(spec.key);
    add_unit(std::move(spec), true);
    engine_.link();
    order_document();
    p_.changed();
}

// Stopped by somebody else: it goes as it came. One that keepwell stopped stays to be started.
void Fleet::forget_found(const std::string& key) {
    for (auto& [pattern_key, pattern] : patterns_) {
        const auto i = engine_.find(key);
        if (pattern.units.count(key) == 0 || !i) continue;
        const UnitRecord& r = engine_.record(*i);
        if (r.state != State::Stopped || r.reason.kind != ReasonKind::StoppedElsewhere) return;
        pattern.units.erase(key);
        engine_.release(*i);
        return;
    }
}

void Fleet::forget_pattern(const std::string& key) {
    const auto p = patterns_.extract(key);
    if (p.empty()) return;
    for (const std::string& member : p.mapped().units)
        if (const auto i = engine_.find(member)) engine_.release(*i);
    p_.processes.forget(key);
}

} // namespace keepwell
