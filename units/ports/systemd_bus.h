// Port: what one systemd manager says about its units, and orders to it.
//
// Every call returns at once. The listener and the callbacks run on the loop, never from inside a
// call; they may make any call and may destroy the bus. A destroyed bus calls nobody.
//
// on_state() comes once a watched unit has been read for the first time, then only on a real
// change (figures that change all the time, such as memory, do not count). The manager's states are
// told one by one as it sends them; several within a millisecond may arrive as the last of them, so
// look at n_restarts and invocation_id, not only at active_state.
//
// Phases: only in Up is what was told the truth of now. In each other phase the states are what
// they were: unknown, never failed; nothing should be decided on them. After a loss everything is
// read again: first the differences are told by on_state(), then on_phase(Up).
//
// Orders outside of Up end with Error at once. Those under way when the bus is lost end with Lost:
// the manager may have done them. No order lives longer than its deadline.
#pragma once
#include "units/result.h"
#include "units/time.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>
namespace keepwell {

struct SystemdUnitState {
    std::string name;                  // as watched
    std::string id;                    // the manager's own name; differs from name for an alias
    std::string load_state;            // "loaded", "not-found", "masked", "error", "bad-setting"
    std::string load_error;            // its text, when there is one
    std::string active_state;          // "active", "inactive", "failed", "activating", …
    std::string sub_state;             // "running", "dead", "auto-restart", …
    std::string result;                // "success", "signal", "exit-code", "start-limit-hit", …
    std::string unit_file_state;       // "enabled", "static", "masked", …
    std::string invocation_id;         // 32 hex digits; empty = not started since it was loaded
    std::uint32_t main_pid = 0;        // 0 = none
    std::int32_t exec_main_code = 0;   // CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0 = has not ended
    std::int32_t exec_main_status = 0; // exit code or signal
    std::uint32_t n_restarts = 0;      // by systemd itself
    std::string restart;               // the unit's own Restart=: "no", "always", …
    std::uint64_t restart_usec = 0;
    std::uint32_t job_id = 0; // of anybody; 0 = no job is queued or running
    bool need_daemon_reload = false;
    std::string status_text;
    // CLOCK_MONOTONIC in microseconds; 0 = never
    std::uint64_t active_enter = 0;
    std::uint64_t active_exit = 0;
    std::uint64_t inactive_enter = 0;
    std::uint64_t inactive_exit = 0;
    std::uint64_t exec_main_start = 0;
    std::uint64_t exec_main_exit = 0;
    std::vector<std::string> required_by, bound_by, consists_of;
    std::string control_group;
    std::string error; // the unit could not be read: error name and text; the rest is as it was

    // Figures that do not signal: as of the last read; absent where nothing is accounted.
    std::optional<std::uint64_t> memory_bytes;
    std::optional<std::uint64_t> cpu_ns;
    std::optional<std::uint64_t> tasks;
};

enum class BusPhase {
    Connecting, // for the first time
    Up,
    Lost,      // tried again with a growing delay of at most 5 s
    Reloading, // the manager reads its unit files; states may dip
};

enum class UnitVerb { Start, Stop, Restart, Reload, ResetFailed };

enum class JobMode { Replace, Fail };

enum class JobOutcome {
    Done,
    Failed, // also results that have no name here; the manager's word is in text
    Canceled,
    Timeout,    // the job's own time limit in systemd
    Dependency, // a unit it needs failed
    Skipped,
    Error,    // refused: see error_name
    Deadline, // ours passed; the job may still run
    Lost,     // the bus was lost; the outcome is unknown
};

struct JobResult {
    JobOutcome outcome = JobOutcome::Done;
    std::string error_name; // "org.freedesktop.systemd1.NoSuchUnit", …
    std::string text;
    bool done() const noexcept { return outcome == JobOutcome::Done; }
};

using JobId = std::uint64_t; // 0 = none
using JobDone = std::function<void(const JobResult&)>;

class SystemdListener {
  public:
    virtual ~SystemdListener() = default;
    virtual void on_state(const SystemdUnitState&) = 0;
    virtual void on_gone(const std::string& name) = 0; // a unit that only a pattern watched
    virtual void on_phase(BusPhase, const std::string& text) = 0;
};

class SystemdBus {
  public:
    virtual ~SystemdBus() = default;
    virtual void set_listener(SystemdListener*) = 0;

    virtual BusPhase phase() const noexcept = 0;
    virtual std::string phase_text() const = 0; // why it is not Up

    // Counted: a unit is watched until as many unwatch() came. Error: not a name of a unit.
    virtual Status watch(const std::string& name) = 0;
    virtual void unwatch(const std::string& name) = 0;
    // A glob over names ("worker@*.service"); units that match are watched while they are loaded.
    virtual Status watch_pattern(const std::string& glob) = 0;
    virtual void unwatch_pattern(const std::string& glob) = 0;
    // As last read, also when it has not been told yet; null before. Valid until the next call.
    virtual const SystemdUnitState* state(const std::string& name) const = 0;

    // Reads a watched unit again, for its figures; `done` gets null if it could not be read.
    virtual void refresh(const std::string& name,
                         std::function<void(const SystemdUnitState*)> done) = 0;

    // Exactly one call of `done`, unless forgotten first. ResetFailed has no job: it is done when
    // the manager says so.
    virtual JobId order(UnitVerb, const std::string& name, JobMode, Duration deadline,
                        JobDone done) = 0;
    // who: "main", "control" or "all".
    virtual JobId kill(const std::string& name, const std::string& who, int signal,
                       JobDone done) = 0;
    virtual void forget(JobId) noexcept = 0; // `done` is not called any more; the job goes on
};
} // namespace keepwell
