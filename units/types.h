// The vocabulary shared by every folder: what a unit is, what state it is in, how it ended.
//
// The words are those of status.json (docs/status.md); to_string gives exactly them. Verdict and
// lifecycle are separate enums and are never merged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

using UnitIndex =
    std::uint32_t; // slot in the engine; stable while the unit exists, then may be reused
using CheckIndex = std::uint16_t; // position in UnitSpec::checks
using Generation = std::uint64_t; // counts the starts of a unit; 0 = never started

enum class UnitKind { Child, PidFile, Systemd, Match, External };

// Others may start and stop it too, so what is seen of it counts, not what was ordered.
constexpr bool is_observed(UnitKind kind) noexcept {
    return kind == UnitKind::PidFile || kind == UnitKind::Systemd || kind == UnitKind::Match;
}

enum class State {
    Stopped,
    Waiting,  // wants to run, held back by a dependency
    Starting, // process asked for or alive, not ready yet
    Running,
    Stopping,  // told to end; the whole tree is not gone yet
    Backoff,   // waits for the next fast retry
    Cooldown,  // budget spent: waits for the next slow retry
    Completed, // ended well and shall not run again
    Failed,    // needs a human (budget.then = "stop", or restart = never and a bad exit)
    Unknown,
};
inline constexpr int kStateCount = 10;

// Why a unit of another manager cannot be seen (State::Unknown).
enum class Blindness : std::uint8_t { NotYet, BusLost, Reloading, NotFound, Masked };

enum class Desired { Stopped, Running };
enum class Verdict { Healthy, Degraded, Down, Unknown };

// What a check does to its unit's verdict once its threshold is met.
enum class CheckEffect { Down, Degraded, Unknown, None };

// The outcome of one run of one check. Warn (slow answer, warn_exit) degrades at once and never
// heals.
enum class CheckOutcome { Pass, Warn, Fail };

// How a process ended. `known` is false for adopted processes whose status nobody could read.
struct ExitStatus {
    bool known = false;
    int code = 0;   // valid when signal == 0
    int signal = 0; // 0 = exited by itself
    bool core = false;
    bool oom = false;
    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

std::string_view to_string(UnitKind) noexcept;     // child pidfile systemd match external
std::string_view to_string(State) noexcept;        // stopped waiting … unknown
std::string_view to_string(Desired) noexcept;      // stopped running
std::string_view to_string(Blindness) noexcept;    // "the bus is lost", "not found by systemd" …
std::string_view to_string(Verdict) noexcept;      // healthy degraded down unknown
std::string_view to_string(CheckEffect) noexcept;  // down degraded unknown none
std::string_view to_string(CheckOutcome) noexcept; // pass warn fail

// "exit 1", "SIGKILL", "SIGSEGV (core dumped)", "ended, status unknown".
std::string describe(const ExitStatus&);
// "SIGTERM" for 15; "signal 99" for what has no name.
std::string signal_name(int signal);
// 15 for "TERM", "SIGTERM" or "15"; nullopt for what is none.
std::optional<int> parse_signal(std::string_view) noexcept;

} // namespace keepwell
