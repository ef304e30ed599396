// The one state machine of every kind of unit, as a pure function. See
// docs/state-machine.md for the diagram.
//
// step() is the only writer of a UnitRecord: next record and effects = f(spec, record, event, now,
// jitter). It reads no clock, does no I/O, does not log, and may be called from anywhere. jitter is
// in [0, 1); 0.5 means "no jitter".
//
//   stopped  --Start--> waiting (held by a dependency) or starting
//   starting --ready--> running; --exit, not ready, spawn failed--> stopping/backoff
//   running  --check trips, Restart, Stop--> stopping; --main exits--> stopping while the tree
//   lives, else decide stopping --tree empty--> decide: stopped | starting (operator's restart) |
//   waiting | backoff | cooldown |
//                            completed | failed
//   backoff, cooldown --Retry timer--> starting (or waiting)
//
// Rules (the man page keepwell.toml(5) is their specification):
// * A check trips after `failures` consecutive counted failures (or its window), never before; one
// pass resets the
//   count. Failures within `grace` of this start do not count; the first pass ends grace.
// * No second instance is spawned while main_alive or tree_alive.
// * After SIGKILL without effect the unit stays `stopping` (reason unkillable), SIGKILL is sent
// again every
//   max(stop.timeout, 5 s), and nothing is started.
// * The n-th automatic restart since the last reset waits initial × factor^(n-1), at most max, ±
// jitter; the one that
//   would exceed budget.restarts within budget.within waits `cooldown` instead, and so does every
//   later one until the unit was healthy for reset_after.
// * Transient spawn failures (the host's fault) wait by their own streak and do not use the budget.
// * While blocked_by is set, check failures are not counted, and after an exit the unit waits.
// * paused, heal = false and dry_run: checks count and show, nothing is done about them. An exit of
// a paused unit is
//   left alone as well; Resume then decides.
// * External units are `running` while enabled, have no process, and never spawn.
#pragma once

#include "units/effect.h"
#include "units/event.h"
#include "units/record.h"
#include "units/unit_spec.h"

namespace keepwell {

struct Step {
    UnitRecord record;
    EffectList effects;
};

[[nodiscard]] Step step(const UnitSpec& spec, UnitRecord record, const Event& event, Instant now,
                        double jitter) noexcept;

// The record of a unit that was never started: counters for each check, state stopped (external:
// running).
UnitRecord initial_record(const UnitSpec& spec, Instant now);

// Delay before the n-th (from 1) automatic restart, for step() and `keepwell explain`.
Duration backoff_delay(const BackoffPolicy& policy, std::uint32_t n, double jitter) noexcept;

// Does this unit count among those that should run? (status.json: overallHealth, exit codes)
bool should_run(const UnitSpec& spec, const UnitRecord& record) noexcept;

} // namespace keepwell
