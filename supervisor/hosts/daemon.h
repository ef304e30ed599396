// What DaemonHost knows of one daemon, and how a matched process is found. Internal to
// supervisor/hosts.
#pragma once

#include "actions/process_handle.h"
#include "supervisor/hosts/daemon_host.h"

#include <optional>
#include <vector>

namespace keepwell {

enum class Phase {
    Away,
    Command,  // start_command runs
    Awaiting, // it has ended well; the daemon is not known yet
    Kept,     // the keeper holds the daemon
    Held,     // by a pidfd: somebody else started it
    LeftOvers // its main process is gone, others of its tree are not
};

// The PID file may be written after the start command has ended; its folder may be no folder yet.
inline constexpr auto kLookAgain = 100ms;
// What is not there, where no file tells of it.
inline constexpr auto kLookForMatches = 2s;
inline constexpr auto kServiceAgain = 500ms;

struct Relative { // of a daemon's tree
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;
};
struct Failure { // of a start whose tree has to end first
    SpawnStage stage = SpawnStage::None;
    int error = 0;
    std::string text;
};

struct DaemonHost::Daemon {
    UnitSpec spec;
    std::string folder; // of the PID file
    bool unwatched = false;
    Phase phase = Phase::Away;
    Generation generation = 0;          // of the keeper's instance; 0 = it has none
    std::optional<Generation> starting; // the fleet waits for this one
    std::int64_t command_pid = 0;
    MainSight main;
    std::optional<MainSight> candidate; // the keeper looks whether it may be the main one
    ProcessHandle handle;
    std::unique_ptr<uv::Poll> poll;
    std::vector<Relative> family;
    std::vector<ProcessHandle> leftovers;
    std::optional<Instant> ended; // the main process; a successor may be there
    ExitStatus status;
    bool reported = false, tree_gone = false, told_absent = false;
    std::optional<Failure> failure;
    TimerId deadline = 0, again = 0, family_timer = 0;
    OffloadId searching = 0, sampling = 0;
    bool search_again = false;
    bool stop_job = false; // of the owner is under way: systemd decides when to kill
    bool seen = false;     // it was there
    bool blinded = false;  // and told so
    int active_looks = 0;  // at an owner that is active while nobody is named
    std::string owner, why;

    bool is(const MainSight& s) const {
        return s.pid == main.pid && s.start_ticks == main.start_ticks;
    }
    std::string describe() const;
    const std::string& owner_of(const MainSight& s) const {
        return spec.service.empty() ? s.owner : spec.service;
    }
    void set(Phase, const MainSight&); // a main process, and all that an earlier one left is gone
    void away();
    void keep_leftovers();
    void cancel(Timers&, Offload&);
};

// As an Instant; the same for the same process whoever asks when.
Instant began_at(std::uint64_t start_ticks);
// Everything that descends from it, without itself.
std::vector<Relative> family_of(std::int64_t pid);
// The oldest process that matches; none when there are fewer than `min`.
MainSight find_match(ProcessTable&, const MatchSpec&, Instant now);

} // namespace keepwell
