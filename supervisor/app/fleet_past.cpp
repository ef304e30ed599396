// Fleet's half that the history is written from and restored into.
#include "supervisor/app/fleet.h"

#include <algorithm>

namespace keepwell {

namespace {

history::Spent spent_in(const UnitRecord& r) {
    if (r.paused) return history::Spent::Paused;
    switch (r.health) {
    case Verdict::Healthy: return history::Spent::Ok;
    case Verdict::Degraded: return history::Spent::Degraded;
    case Verdict::Down: return history::Spent::Down;
    case Verdict::Unknown: return history::Spent::Unknown;
    }
    return history::Spent::Unknown;
}

// Whose latency is the unit's: the first http check's, else the first one's.
CheckIndex timed_check(const UnitSpec& spec) {
    for (std::size_t i = 0; i < spec.checks.size(); ++i)
        if (std::holds_alternative<HttpCheckSpec>(spec.checks[i].probe))
            return static_cast<CheckIndex>(i);
    return 0;
}

} // namespace

void Fleet::set_past(PastListener* past) {
    past_ = past;
    timeline_.set_listener([this](const TimelineLine& line) {
        if (past_ != nullptr) past_->on_line(line);
    });
}

void Fleet::remember(UnitIndex i) {
    recorder_.begin(i, engine_.key_of(i), spent_in(engine_.record(i)));
}

// A verdict may change without a step, by another configuration.
void Fleet::sync_recorder(UnitIndex i) { recorder_.spent(i, spent_in(engine_.record(i))); }

void Fleet::remember(const StepInfo& info) {
    const UnitRecord &before = info.before, &after = info.after;
    if (!recorder_.knows(info.unit)) recorder_.begin(info.unit, info.spec.key, spent_in(before));
    recorder_.spent(info.unit, spent_in(after));
    if (after.restarts_total > before.restarts_total)
        recorder_.restarted(
            info.unit, static_cast<std::uint32_t>(after.restarts_total - before.restarts_total));
    const bool moved = before.state != after.state || before.health != after.health;
    if (!moved || past_ == nullptr) return;
    past_->on_change({p_.clock.wall(), info.spec.key, std::string(to_string(after.state)),
                      std::string(to_string(after.health)),
                      views_[info.unit].reason_text(info.spec, after, context(info.unit))});
}

void Fleet::remember(const Observation& o, bool counts) {
    if (!counts) return;
    const bool failed = o.outcome == CheckOutcome::Fail;
    const bool timed = !failed && o.check == timed_check(engine_.spec(o.unit));
    recorder_.checked(o.unit, failed, timed ? std::optional(o.took) : std::nullopt);
}

std::vector<std::pair<std::string, char>> Fleet::step_letters() const {
    std::vector<std::pair<std::string, char>> letters;
    letters.reserve(views_.size());
    for (const auto& [i, view] : views_)
        if (const char letter = view.last_step(); letter != 0)
            letters.emplace_back(engine_.key_of(i), letter);
    return letters;
}

void Fleet::restore_steps(const std::string& key, const std::string& letters) {
    const auto i = engine_.find(key);
    if (!i) return;
    views_[*i].restore_steps(letters);
    dirty_.insert(*i);
}

bool Fleet::set_uptime(const std::string& key, const UptimeRatios& ratios) {
    const auto i = engine_.find(key);
    if (!i || !views_[*i].set_uptime(ratios)) return false;
    dirty_.insert(*i);
    return true;
}

} // namespace keepwell
