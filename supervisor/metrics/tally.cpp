#include "supervisor/metrics/tally.h"

#include "supervisor/engine/unit_view.h"

#include <algorithm>
#include <chrono>

namespace keepwell::metrics {

namespace {

std::size_t exit_reason(const ExitStatus& status) {
    if (!status.known) return 4;
    if (status.oom) return 3;
    if (status.signal != 0) return 2;
    return status.code == 0 ? 0 : 1;
}

std::size_t place_of(std::string_view trigger) {
    const auto it = std::ranges::find(kTriggers, trigger);
    return it == kTriggers.end() ? kTriggers.size() - 1
                                 : static_cast<std::size_t>(it - kTriggers.begin());
}

// What waits to be started again is still under way.
bool under_way(State s) {
    return s == State::Starting || s == State::Backoff || s == State::Cooldown ||
           s == State::Stopping || s == State::Waiting;
}

void settle(UnitTally& u, bool well) {
    if (!u.restarting) return;
    auto& r = u.restarts[*u.restarting];
    ++(well ? r.success : r.failure);
    u.restarting.reset();
}

void count_restart(UnitTally& u, const StepInfo& info) {
    const UnitRecord &before = info.before, &after = info.after;
    for (auto n = before.restarts_total; n < after.restarts_total; ++n) {
        settle(u, false); // the one before came to nothing
        u.restarting = place_of(restart_trigger(info));
    }
    const bool fresh = after.restarts_total > before.restarts_total;
    if (after.state == State::Running && !fresh)
        settle(u, true);
    else if (!under_way(after.state))
        settle(u, after.state == State::Running);
}

void stamp_to(Stamp& s, Instant at, const Clock& clock) {
    if (s.at == at) return;
    s.at = at;
    const auto ago = std::chrono::duration_cast<std::chrono::milliseconds>(clock.now() - at);
    s.wall = WallTime{clock.wall().ms - ago.count()};
}

} // namespace

void UnitTally::align(const UnitSpec& spec) {
    const bool same = std::ranges::equal(checks, spec.checks, {}, &CheckTally::id, &CheckSpec::id);
    if (same) return;
    std::vector<CheckTally> kept;
    kept.reserve(spec.checks.size());
    for (const CheckSpec& c : spec.checks) {
        const auto it = std::ranges::find(checks, c.id, &CheckTally::id);
        kept.push_back(it == checks.end() ? CheckTally(c.id) : std::move(*it));
    }
    checks = std::move(kept);
}

void UnitTally::stamp(const UnitRecord& r, const Clock& clock) {
    stamp_to(started, r.started_at, clock);
    stamp_to(changed, r.state_since, clock);
}

void Tally::step(const StepInfo& info) {
    UnitTally& u = units_[info.unit];
    const UnitRecord &before = info.before, &after = info.after;
    if (after.last_exit && after.last_exit_at != before.last_exit_at)
        ++u.exits[exit_reason(*after.last_exit)];
    count_restart(u, info);
    for (const Effect& e : info.effects)
        if (const auto* note = std::get_if<Note>(&e); note && note->kind == NoteKind::Healthy)
            u.recovery.observe(std::chrono::duration<double>(note->delay).count());
}

void Tally::observe(const UnitSpec& spec, const Observation& o, WallTime now) {
    UnitTally& u = units_[o.unit];
    u.align(spec);
    if (o.check >= u.checks.size()) return;
    CheckTally& c = u.checks[o.check];
    ++c.results[static_cast<std::size_t>(o.outcome)];
    c.duration.observe(std::chrono::duration<double>(o.took).count());
    c.last = o.outcome;
    c.code = o.code;
    if (o.outcome == CheckOutcome::Pass) c.passed_at = now;
    if (o.cert_expires_at) c.cert_expires_at = *o.cert_expires_at;
}

void Tally::add_cpu(UnitIndex i, CpuSeconds used) {
    CpuSeconds& sum = units_[i].cpu;
    sum.user += used.user;
    sum.system += used.system;
}

} // namespace keepwell::metrics
