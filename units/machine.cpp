#include "units/machine.h"

#include "units/lifecycle.h"

#include <utility>
#include <variant>

namespace keepwell {

Step step(const UnitSpec& spec, UnitRecord record, const Event& event, Instant now,
          double jitter) noexcept {
    Step result{std::move(record), {}};
    Lifecycle life(spec, result.record, now, jitter, result.effects);
    std::visit([&life](const auto& e) { life.on(e); }, event);
    life.finish();
    return result;
}

UnitRecord initial_record(const UnitSpec& spec, Instant now) {
    UnitRecord r;
    r.state_since = now;
    r.health_since = now;
    r.checks.resize(spec.checks.size());
    for (std::size_t i = 0; i < spec.checks.size(); ++i) {
        r.checks[i].enabled = spec.checks[i].enabled;
    }
    if (spec.kind == UnitKind::External && spec.enabled) {
        r.state = State::Running;
        r.desired = Desired::Running;
        r.started_at = now;
    }
    if (is_observed(spec.kind)) {
        r.state = State::Unknown;
        r.reason.kind = ReasonKind::Blind;
        r.reason.code = static_cast<std::int32_t>(Blindness::NotYet);
    }
    return r;
}

bool should_run(const UnitSpec& spec, const UnitRecord& record) noexcept {
    return spec.enabled && record.desired == Desired::Running && record.state != State::Completed;
}

} // namespace keepwell
