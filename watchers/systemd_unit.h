// What a systemd unit's state says about it as a unit of ours.
//
// Pure: the rules of docs/design.md ("systemd units") and nothing else. `seen_before`: the unit was
// there since keepwell looks at it, so an end with success is somebody's stop even when systemd has
// forgotten its times.
#pragma once

#include "units/ports/systemd_bus.h"
#include "units/types.h"

#include <string>

namespace keepwell {

enum class SightKind {
    Coming, // on its way up or down, or a job is queued: what follows will tell
    There,
    Gone,
    Held,     // it ended and systemd will start it again
    Invisible // nothing can be done about it
};
struct SystemdSight {
    SightKind kind = SightKind::Coming;
    std::int64_t pid = 0;
    Instant started_at{};
    bool on_purpose = false;
    ExitStatus status;
    Blindness why = Blindness::NotYet;
    std::string text; // for the timeline
    // Gone, but a state like this may be passed through: wait a moment before believing it.
    bool passing = false;
};

SystemdSight judge(const SystemdUnitState&, bool seen_before);
ExitStatus exit_of(const SystemdUnitState&) noexcept; // of the last main process

} // namespace keepwell
