// The moves of a unit that several events share: start, stop, and what follows when a tree is gone.
// Internal to units/; everyone else calls step().
//
// One Lifecycle lives for one step. It writes the record it was given and appends effects. Every
// on() answers in every state; finish() comes last and derives health, reason and Reset deadline.
#pragma once

#include "units/machine.h"

namespace keepwell {

// Timers of the loop count milliseconds, deadlines nanoseconds: this much early is on time.
inline constexpr Duration kTimerSlack = 5ms;
// ready = "started" means alive for so long.
inline constexpr Duration kAliveTime = 1s;
// SIGKILL is repeated no more often than this.
inline constexpr Duration kKillPeriod = 5s;

class Lifecycle {
  public:
    Lifecycle(const UnitSpec& spec, UnitRecord& record, Instant now, double jitter,
              EffectList& effects) noexcept
        : spec_(spec), r_(record), now_(now), jitter_(jitter), out_(effects) {}

    // on_operator.cpp
    void on(const event::Start&) noexcept;
    void on(const event::Stop&) noexcept;
    void on(const event::Restart&) noexcept;
    void on(const event::Shutdown&) noexcept;
    void on(const event::Pause&) noexcept;
    void on(const event::Resume&) noexcept;
    void on(const event::Reset&) noexcept;
    void on(const event::Reconfigured&) noexcept;
    void on(const event::Dependencies&) noexcept;
    // on_process.cpp
    void on(const event::Spawned&) noexcept;
    void on(const event::SpawnFailed&) noexcept;
    void on(const event::Adopted&) noexcept;
    void on(const event::MainChanged&) noexcept;
    void on(const event::Ready&) noexcept;
    void on(const event::Exited&) noexcept;
    void on(const event::TreeEmpty&) noexcept;
    void on(const event::StopFinished&) noexcept;
    // on_sight.cpp
    void on(const event::Appeared&) noexcept;
    void on(const event::Absent&) noexcept;
    void on(const event::Held&) noexcept;
    void on(const event::Blind&) noexcept;
    // on_check.cpp
    void on(const event::CheckResult&) noexcept;
    void on(const event::CheckEnabled&) noexcept;
    // on_timer.cpp
    void on(const event::Timer&) noexcept;

    void finish() noexcept;

  private:
    bool external() const noexcept { return spec_.kind == UnitKind::External; }
    bool observed() const noexcept { return is_observed(spec_.kind); }
    bool alive() const noexcept { return r_.main_alive || r_.tree_alive; }
    std::optional<UnitIndex> gate() const noexcept { return r_.hold ? r_.hold : r_.blocked_by; }
    // Why nothing may be done about this unit (NoteKind::WouldRestart's code); nullopt = act.
    std::optional<std::int64_t> hands_off() const noexcept;

    void note(Note n) noexcept { out_.push_back(n); }
    void note(NoteKind kind) noexcept;
    void would_restart(std::int64_t why) noexcept;
    bool stale(Generation) noexcept; // counts
    void drop() noexcept;
    // Stopping, but nobody told the left-overs to go (hands_off at the exit).
    bool left_alone() const noexcept {
        return r_.state == State::Stopping && !r_.deadline(TimerKind::Kill);
    }

    void set_state(State, const Reason&) noexcept; // clears Ready, Kill and Retry
    void set_deadline(TimerKind, Duration from_now) noexcept;
    void incident() noexcept;
    void zero_counters() noexcept;
    void new_generation() noexcept;

    void begin_start(const Reason&) noexcept; // or waits, or stops what is still there first
    void begin_stop(const Reason&) noexcept;
    void running() noexcept;
    void decide() noexcept; // the tree is gone, or never came
    void retry_later() noexcept;
    void start_external() noexcept;
    void stop_wanted(const Reason&) noexcept; // Stop and Shutdown
    void resume() noexcept;
    void await_ready() noexcept;
    void take_up(State before, bool remembered) noexcept; // an instance that is there already
    void see_new_instance(const event::Appeared&) noexcept;
    void lose(const ExitStatus&) noexcept;
    void hold_off(bool transient) noexcept; // the next restart by a check

    void not_ready() noexcept;
    void escalate() noexcept;
    void retry() noexcept;

    void heal(CheckIndex, const event::CheckResult&, bool just_tripped) noexcept;
    bool may_heal(const event::CheckResult&) const noexcept;
    bool too_soon(const CheckSpec&) const noexcept;
    std::size_t ladder_index(std::uint32_t attempt) const noexcept;

    const UnitSpec& spec_;
    UnitRecord& r_;
    const Instant now_;
    const double jitter_;
    EffectList& out_;
    bool dropped_ = false; // the event changes nothing but its count
};

Reason reason_of(ReasonKind) noexcept;

} // namespace keepwell
