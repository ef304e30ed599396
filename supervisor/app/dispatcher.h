// Dispatcher: turns effects into calls of the ports: spawns (bounded in parallel, pre_start first),
// stops, kills, checks and ladder steps. It decides nothing; what comes of a call goes back to the
// engine as an event. Of units in a dry run it only says what it would have done.
#pragma once

#include "supervisor/engine/engine.h"
#include "units/ports/process_host.h"
#include "units/ports/task_host.h"
#include "watchers/check_scheduler.h"

#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace keepwell {

class Dispatcher {
  public:
    struct Ports {
        Engine& engine;
        ProcessHost& processes;
        TaskHost& tasks;
        CheckScheduler& checks;
        std::function<void(const std::string& key, const std::string& kind,
                           const std::string& text)>
            tell;
        std::function<void(std::function<void()>)> later; // on the loop's next turn
        std::function<void(UnitIndex)>
            before_spawn; // a log:REGEX watch takes its place in the file here
        std::function<void(UnitIndex, Duration timeout)> free_port;
    };
    Dispatcher(Ports, std::uint32_t max_parallel_starts);

    void effect(UnitIndex, const Effect&);
    void stepped(const StepInfo&); // frees places of starts that are over; drops starts nobody
                                   // wants any more
    void erased(UnitIndex);
    void end() { ending_ = true; } // keepwell stops what it started, also in a dry run
    std::string service_of(const UnitSpec&) const; // of systemd; empty = none
    void set_max_parallel(std::uint32_t n) { max_parallel_ = n; }
    // A task in the unit's own environment: reload_command, stop_command, a ladder's exec.
    TaskId run_for(UnitIndex, const Argv&, Duration timeout, const std::string& label,
                   std::function<void(TaskResult)>);

    // By reload_command, or as its host does it; done gets what went wrong, empty = nothing did.
    void reload(UnitIndex, Duration timeout, std::function<void(const std::string& error)> done);

  private:
    struct Pending { // asked for, the process is not there yet
        Generation generation = 0;
        TaskId pre_start = 0;
        bool under_way = false;
    };
    bool dry(UnitIndex) const;
    bool held_back(UnitIndex, const Effect&);
    void pump();
    void begin(UnitIndex);
    void spawn(UnitIndex, Generation);
    void drop(UnitIndex);
    void terminate(UnitIndex, Generation);
    void signal_stop(UnitIndex, Generation);
    void signal_leftovers(UnitIndex, Generation);
    void ladder(UnitIndex, const effect::RunLadder&);

    Ports p_;
    std::uint32_t max_parallel_;
    bool ending_ = false;
    std::deque<UnitIndex> queue_;
    std::unordered_map<UnitIndex, Pending> pending_;
    std::unordered_set<UnitIndex> under_way_;
};

// It can be told to read its configuration anew without a restart.
bool can_reload(const UnitSpec&) noexcept;
// What a failed task was, for the timeline: "exit 3: no space", "timed out after 30s".
std::string describe(const TaskResult&, Duration timeout);

} // namespace keepwell
