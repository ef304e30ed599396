// What step() wants done: orders for the dispatcher and notes for the timeline. Plain data without
// strings.
//
// Timers are not effects: a deadline that is set in the returned record *is* the armed timer
// (UnitRecord::deadlines).
#pragma once

#include "units/event.h"
#include "units/time.h"
#include "units/types.h"

#include <array>
#include <cassert>
#include <cstddef>
#include <variant>

namespace keepwell {

// What a timeline line says. The engine turns a note into text with the texts of the event that
// caused it.
enum class NoteKind : std::uint8_t {
    CheckFailed,      // check, code, count = consecutive failures, of = threshold
    CheckWarned,      // check
    CheckPassed,      // check; only when it ends a run of failures
    Tripped,          // check, count, of: the threshold is met
    HeldByStormGuard, // check: tripped, but the host restarts too much already
    WouldRestart,     // code: 0 dry_run, 1 heal = false, 2 paused, 3 restart = never
    StopBegan,        // code = signal
    KillSent,         // code = signal (9), count = how often
    Exited,           // status
    TreeEmpty,
    SpawnFailed, // stage, code = errno
    Backoff,     // delay, count = restart number, of = budget
    BudgetSpent, // count = budget
    Cooldown,    // delay
    GaveUp,
    Completed,
    Waiting,     // unit = the one waited for
    StartBegan,  // count = generation
    Started,     // code = pid
    Adopted,     // code = pid
    MainChanged, // code = pid
    NotReady,    // ready_timeout over
    Running,     // ready
    Healthy,     // delay = time since the incident began
    BackoffReset,
    Paused,
    Resumed,
    OperatorStart,
    OperatorStop,
    OperatorRestart,
    OperatorReset,
    Unkillable, // still there after SIGKILL
    Appeared,   // code = pid: it runs, and keepwell did not start it
    Gone,       // status: it is not there any more
    StoppedElsewhere,
    Held,    // systemd restarts it by its own Restart=
    Blinded, // code = Blindness
    StopRefused,
};

struct Note {
    NoteKind kind{};
    CheckIndex check = 0;
    std::int64_t code = 0;
    std::uint32_t count = 0;
    std::uint32_t of = 0;
    Duration delay{};
    UnitIndex unit = 0;
    ExitStatus status{};
    SpawnStage stage = SpawnStage::None;
};

namespace effect {
struct Spawn {
    Generation generation;
}; // pre_start first, if the spec has one
struct Terminate {
    Generation generation;
}; // stop_command if the spec has one, else stop.signal then SIGCONT
struct Kill {
    Generation generation;
}; // SIGKILL to stop.kill's scope
struct StartChecks {
    Generation generation;
};
struct StopChecks {};
struct RunLadder {
    Generation generation;
    std::uint16_t step;
}; // a step that is not "restart"
} // namespace effect

using Effect = std::variant<Note, effect::Spawn, effect::Terminate, effect::Kill,
                            effect::StartChecks, effect::StopChecks, effect::RunLadder>;

// A vector of at most N trivially copyable values without allocation, so that step() can be
// noexcept honestly. Pushing beyond N is a broken invariant (a property test proves the bound).
template <class T, std::size_t N>
class InlineVector {
  public:
    void push_back(const T& v) noexcept {
        assert(size_ < N);
        if (size_ < N) items_[size_++] = v;
    }
    const T* begin() const noexcept { return items_.data(); }
    const T* end() const noexcept { return items_.data() + size_; }
    const T& operator[](std::size_t i) const noexcept { return items_[i]; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

  private:
    std::array<T, N> items_{};
    std::size_t size_ = 0;
};
using EffectList = InlineVector<Effect, 16>;

} // namespace keepwell
