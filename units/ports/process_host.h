// Port: the daemons themselves, one live instance for each unit key. Behind it is one host for each
// kind of unit: the keeper for children, and hosts of PID-file daemons, systemd units and matched
// processes, which others may start and stop too.
//
// Every call returns at once; answers come to the listener on the loop, never from inside a call.
// on_exited and on_tree_empty are repeated until acknowledged; after ack() of an instance whose
// tree is empty the host forgets it.
#pragma once
#include "units/event.h"
#include "units/snapshot.h"
#include "units/time.h"
#include "units/types.h"
#include "units/unit_spec.h"
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>
namespace keepwell {

enum class SignalScope { Process, Group, Tree };
constexpr SignalScope scope_of(KillScope kill) noexcept {
    switch (kill) {
    case KillScope::Tree: return SignalScope::Tree;
    case KillScope::Group: return SignalScope::Group;
    case KillScope::Process:
    case KillScope::Never: return SignalScope::Process;
    }
    return SignalScope::Tree;
}

struct Survivor { // a process that SIGKILL did not end, for messages
    std::int64_t pid = 0;
    char state = '?'; // of /proc/PID/stat: D = uninterruptible
    std::string name;
};

class ProcessListener {
  public:
    virtual ~ProcessListener() = default;
    virtual void on_spawned(const std::string& key, Generation, std::int64_t pid) = 0;
    // text: what the stage and the errno do not say; empty = nothing more.
    virtual void on_spawn_failed(const std::string& key, Generation, SpawnStage, int error,
                                 const std::string& text) = 0;
    virtual void on_exited(const std::string& key, Generation, const ExitStatus&) = 0;
    virtual void on_tree_empty(const std::string& key, Generation) = 0;
    // After a (re)connect: an instance that was alive before this supervisor started.
    virtual void on_adopted(const std::string& key, Generation, std::int64_t pid,
                            Instant started_at) = 0;
    virtual void on_list_complete() = 0; // every on_adopted of the connect has been delivered
};

// What is seen of units that others may start too: the events of the same names (units/event.h).
// `text` goes into the timeline.
class SightListener {
  public:
    virtual ~SightListener() = default;
    // As on_spawned, of an instance whose start names it: it may be seen again after this
    // supervisor's end.
    virtual void on_started(const std::string& key, Generation, std::int64_t pid,
                            Instant started_at) = 0;
    virtual void on_appeared(const std::string& key, std::int64_t pid, Instant started_at,
                             const std::string& text) = 0;
    // The main process ended, others of its tree may live; then all of it.
    virtual void on_main_gone(const std::string& key, const ExitStatus&) = 0;
    virtual void on_tree_gone(const std::string& key) = 0;
    virtual void on_absent(const std::string& key, bool on_purpose, const ExitStatus&,
                           const std::string& text) = 0;
    // It was asked to end, and its manager refuses. transient: since nobody could be asked.
    virtual void on_stop_refused(const std::string& key, Generation, const std::string& text,
                                 bool transient) = 0;
    virtual void on_held(const std::string& key, const ExitStatus&, const std::string& text) = 0;
    // A unit that a pattern matches came into being; told again after forget() of its own key.
    virtual void on_discovered(const std::string& pattern_key, const std::string& unit) = 0;
    virtual void on_blind(const std::string& key, Blindness, const std::string& text) = 0;
};

class ProcessHost {
  public:
    virtual ~ProcessHost() = default;
    virtual void set_listener(ProcessListener*) = 0;
    // The unit belongs to the fleet from now on, or its specification changed. A host of units that
    // others may start too looks at it from here on and says what it sees (appeared, absent,
    // blind), first of all what is there now.
    virtual void watch(const UnitSpec&) {}
    virtual void forget(const std::string& /*key*/) {}
    virtual void spawn(const UnitSpec&, Generation) = 0; // idempotent by (key, generation)
    // Asks it to end as its policy says: the signal to the scope, then SIGCONT, since a stopped
    // process cannot act on a TERM. comes_back: it will be started again.
    virtual void stop(const UnitSpec& spec, Generation generation, bool /*comes_back*/) {
        const SignalScope scope = scope_of(spec.policy.stop.kill);
        signal(spec.key, generation, spec.policy.stop.signal, scope);
        signal(spec.key, generation, 18 /* SIGCONT */, scope);
    }
    // By other means than reload_command; false = there are none. done(error), empty = it worked.
    virtual bool reload(const UnitSpec&, const std::function<void(const std::string&)>& /*done*/) {
        return false;
    }
    virtual std::optional<ManagedState> managed(const std::string& /*key*/) const { return {}; }
    // The live instance was started by keepwell, so it ends with keepwell.
    virtual bool started_here(const std::string& /*key*/) const { return true; }
    virtual void signal(const std::string& key, Generation, int signal, SignalScope) = 0;
    // To the main process, since somebody asked for it. done(error), empty = it was sent; may come
    // from inside the call.
    virtual void signal_by_hand(const std::string& key, Generation generation, int number,
                                std::function<void(const std::string& error)> done) {
        signal(key, generation, number, SignalScope::Process);
        const auto tell = std::move(done);
        tell("");
    }
    virtual void ack(const std::string& key, Generation) = 0;
    virtual std::vector<Survivor> survivors(const std::string& key) = 0; // may read /proc; bounded
    // Folder of the unit's own cgroup, for reading; empty = it has none.
    virtual std::string cgroup_of(const std::string& key) const = 0;
    // Limits of the tree that this host does not enforce for the live instance: "memory", "cpu",
    // "pids".
    virtual std::vector<std::string> missing_limits(const std::string& key) const = 0;
    virtual bool owns_tree(const std::string& key) const = 0; // tree_certainty: true = cgroup
};
} // namespace keepwell
