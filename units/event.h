// Everything that can happen to a unit, as the input of step(). Plain data, cheap to copy.
//
// Events about one instance carry the generation they belong to; a stale one changes nothing (it is
// counted). Texts (check output, who asked) stay in the engine, which pairs them with the notes
// that step() returns.
#pragma once

#include "units/time.h"
#include "units/types.h"

#include <optional>
#include <variant>

namespace keepwell {

// Deadlines of a unit. They live in UnitRecord::deadlines; the engine keeps one timer for each that
// is set.
enum class TimerKind : std::uint8_t {
    Ready, // starting -> running (ready = started), or "not ready in time"
    Kill,  // stop.timeout over: escalate
    Retry, // end of backoff or cooldown
    Reset, // healthy for reset_after: forget backoff and budget
    PauseEnd,
};
inline constexpr int kTimerCount = 5;

// Why a spawn did not give a process. Stage names the step that failed; the texts are for users.
enum class SpawnStage : std::uint8_t {
    None,
    Prepare,
    Fork,
    Cgroup,
    Rlimit,
    Directory,
    Groups,
    Gid,
    Uid,
    Exec,
    PreStart,
    Timeout,
    Keeper,
    StartCommand, // error = its exit code (or 128 + signal); 0 = see the text
    PidFile,      // no PID file named a live process in time
    Manager,      // systemd did not do it; the text says why
    DryRun,       // not tried; the text says what it would have been
};
std::string_view to_string(
    SpawnStage) noexcept; // "fork", "chdir", "setgroups", "setresgid", "setresuid", "exec", …

namespace event {

struct Start {};   // an operator, autostart, or a dependent asked; desired becomes running
struct Stop {};    // an operator asked; desired becomes stopped
struct Restart {}; // an operator asked; neither uses nor is blocked by the budget
struct Shutdown {
}; // like Stop, but the wanted state kept on disk is untouched (the engine sees to that)
struct Spawned {
    Generation generation;
    std::int64_t pid;
    Instant started_at{}; // none = now
};
struct SpawnFailed {
    Generation generation;
    SpawnStage stage;
    int error;      // errno; for PreStart the exit code (or 128 + signal)
    bool transient; // EAGAIN, ENOMEM, EMFILE …: the host's fault, does not use the restart budget
};
// The supervisor came back and the keeper still holds this instance. Sent instead of Spawned.
struct Adopted {
    Generation generation;
    std::int64_t pid;
    Instant started_at;
};
// The daemon named another process of its own as the main one, and the keeper agreed.
struct MainChanged {
    Generation generation;
    std::int64_t pid;
};
struct Ready {
    Generation generation;
}; // check:ID passed, log:REGEX matched, READY=1 came
struct Exited {
    Generation generation;
    ExitStatus status;
}; // the main process is gone
struct TreeEmpty {
    Generation generation;
}; // the last process of the tree is gone
struct CheckResult {
    Generation generation;
    CheckIndex check;
    CheckOutcome outcome;
    int code;                    // http status, exit code; 0 = none
    bool counts;                 // false while blamed on another unit, or while the loop lagged
    bool heal_allowed;           // false while the host's storm guard holds restarts back
    CheckEffect effect_override; // see has_override: an external unit's timeouts degrade only
    bool has_override;
};
struct CheckEnabled {
    CheckIndex check;
    bool enabled;
};
// Computed by the engine from the other units' records whenever one of them changes.
struct Dependencies {
    std::optional<UnitIndex>
        blocked_by; // a required unit that is not running or whose health is down
    std::optional<UnitIndex>
        hold; // start gate: blocked_by, or an `after`/`requires` unit not ready yet
};
struct Timer {
    TimerKind kind;
};
struct Pause {
    std::optional<Instant> until;
}; // nullopt = until resumed
struct Resume {};
struct Reset {
}; // operator: clear counters, backoff, budget; leaves failed/cooldown/backoff by a start
struct Reconfigured {
}; // the spec changed without need of a restart: counters are resized and kept by the engine
// A stop_command ended, or who was asked to stop it will not: then it goes on.
struct StopFinished {
    Generation generation;
    bool ok;
    bool refused = false;
    bool transient = false; // refused since nobody could be asked: the host's fault
};

// The rest is what a host of units that keepwell may not have started itself sees of them: daemons
// with a PID file, systemd units, matched processes. These are facts without a generation: the pid
// and its start name the instance.

// It is there. The same pid and start as the record's: the one that is known already.
struct Appeared {
    std::int64_t pid; // 0 = a systemd unit without a main process
    Instant started_at;
};
// It is not there. on_purpose: somebody stopped it by other means, which is respected.
struct Absent {
    bool on_purpose;
    ExitStatus status; // of the instance that was there
};
// It ended, and systemd itself starts it again: Appeared or TreeEmpty follows.
struct Held {
    ExitStatus status;
};
// Nothing can be known or done; Appeared or Absent ends it.
struct Blind {
    Blindness why;
};

} // namespace event

using Event =
    std::variant<event::Start, event::Stop, event::Restart, event::Shutdown, event::Spawned,
                 event::SpawnFailed, event::Adopted, event::Ready, event::Exited, event::TreeEmpty,
                 event::CheckResult, event::CheckEnabled, event::Dependencies, event::Timer,
                 event::Pause, event::Resume, event::Reset, event::Reconfigured,
                 event::StopFinished, event::MainChanged, event::Appeared, event::Absent,
                 event::Held, event::Blind>;

} // namespace keepwell
