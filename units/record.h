// UnitRecord: the mutable part of a unit as plain data. step() is its only writer.
//
// It is everything that must survive the supervisor's death (supervisor/state_file writes it field
// by field), so it holds no pointers, no handles and no wall clock. Instants are CLOCK_MONOTONIC of
// this boot.
#pragma once

#include "units/event.h"
#include "units/time.h"
#include "units/types.h"

#include <array>
#include <optional>
#include <vector>

namespace keepwell {

// Why the state last changed. Numbers only; describe(Reason…) in units/reason.h makes "http 503
// (1/3)" of it.
enum class ReasonKind : std::uint8_t {
    None,
    Operator, // started, stopped or restarted on purpose
    Autostart,
    Shutdown,
    CheckFailing, // check, code, count/of: below or at the threshold
    CheckWarning, // check: slow, or warn_exit
    Exited,       // status
    SpawnFailed,  // stage, code = errno
    HostBusy,     // spawn failed for a transient reason
    NotReady,     // ready_timeout over
    Dependency,   // unit = the one needed
    BudgetSpent,
    Unkillable, // SIGKILL did not end it
    Completed,
    StoppedElsewhere, // by somebody else on purpose
    Held,             // status; systemd restarts it itself
    Blind,            // code = Blindness
};
struct Reason {
    ReasonKind kind = ReasonKind::None;
    CheckIndex check = 0;
    std::int32_t code = 0;
    std::uint32_t count = 0;
    std::uint32_t of = 0;
    UnitIndex unit = 0;
    ExitStatus status{};
    SpawnStage stage = SpawnStage::None;
    friend bool operator==(const Reason&, const Reason&) = default;
};

// Counters of one check; they belong to one generation and are zeroed at every start.
struct CheckCounter {
    bool enabled = true;
    bool ran = false;     // has a result in this generation
    bool passed = false;  // a pass in this generation: grace is over
    bool tripped = false; // threshold met and not yet cleared
    CheckOutcome last = CheckOutcome::Pass;
    CheckEffect effect = CheckEffect::Down; // of the last failure (an override for external units)
    std::int32_t last_code = 0;
    std::uint32_t failures = 0;  // consecutive, counted ones
    std::uint32_t successes = 0; // consecutive
    std::uint64_t window = 0;    // last results, newest in bit 0, 1 = failure
    std::uint32_t window_count = 0;
    std::uint32_t step_wait = 0; // tripped: further failures until the next ladder step
    Instant last_at{};
    friend bool operator==(const CheckCounter&, const CheckCounter&) = default;
};

struct UnitRecord {
    State state = State::Stopped;
    Desired desired = Desired::Stopped;
    Verdict health = Verdict::Unknown;
    Reason reason;
    Generation generation = 0;
    Instant state_since{};
    Instant health_since{};

    // Two facts, never merged: the main process, and anything of its tree.
    bool main_alive = false;
    bool tree_alive = false;
    std::int64_t pid = 0; // of the main process; 0 = none
    Instant started_at{};
    std::optional<ExitStatus> last_exit;
    Instant last_exit_at{};
    std::uint32_t kills_sent = 0; // SIGKILLs since this stop began

    std::optional<UnitIndex> blocked_by; // see event::Dependencies
    std::optional<UnitIndex> hold;

    std::vector<CheckCounter> checks; // one for each UnitSpec::checks
    std::array<std::optional<Instant>, kTimerCount> deadlines{};

    // Restarting.
    bool restart_now = false; // an operator's restart: the next start skips backoff and budget
    std::uint32_t streak =
        0; // automatic restarts since the last reset: the exponent of the backoff
    std::uint32_t transient_streak = 0;    // the same for the host's own faults (EAGAIN …)
    std::vector<Instant> restarts;         // automatic restarts within budget.within
    bool budget_spent = false;             // cooldown until reset: one attempt each cooldown
    Duration current_delay{};              // the backoff or cooldown now waited for
    std::uint64_t restarts_total = 0;      // automatic and manual, for display
    std::optional<Instant> incident_since; // first sign of trouble; cleared when healthy again
    std::uint32_t incident_attempts = 0;   // ladder steps taken in this incident
    std::optional<Instant> step_at;        // when the last of them began

    bool paused = false;
    std::uint64_t stale_events = 0;

    friend bool operator==(const UnitRecord&, const UnitRecord&) = default;

    std::optional<Instant>& deadline(TimerKind k) { return deadlines[static_cast<std::size_t>(k)]; }
    const std::optional<Instant>& deadline(TimerKind k) const {
        return deadlines[static_cast<std::size_t>(k)];
    }
};

} // namespace keepwell
