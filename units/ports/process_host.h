// Port: the child daemons themselves, one live instance for each unit key. The keeper is behind it.
//
// Every call returns at once; answers come to the listener on the loop, never from inside a call.
// on_exited and on_tree_empty are repeated until acknowledged; after ack() of an instance whose
// tree is empty the host forgets it.
#pragma once
#include "units/event.h"
#include "units/time.h"
#include "units/types.h"
#include "units/unit_spec.h"
#include <string>
#include <vector>
namespace keepwell {

enum class SignalScope { Process, Group, Tree };

struct Survivor { // a process that SIGKILL did not end, for messages
    std::int64_t pid = 0;
    char state = '?'; // of /proc/PID/stat: D = uninterruptible
    std::string name;
};

class ProcessListener {
  public:
    virtual ~ProcessListener() = default;
    virtual void on_spawned(const std::string& key, Generation, std::int64_t pid) = 0;
    virtual void on_spawn_failed(const std::string& key, Generation, SpawnStage, int error) = 0;
    virtual void on_exited(const std::string& key, Generation, const ExitStatus&) = 0;
    virtual void on_tree_empty(const std::string& key, Generation) = 0;
    // After a (re)connect: an instance that was alive before this supervisor started.
    virtual void on_adopted(const std::string& key, Generation, std::int64_t pid,
                            Instant started_at) = 0;
    virtual void on_list_complete() = 0; // every on_adopted of the connect has been delivered
};

class ProcessHost {
  public:
    virtual ~ProcessHost() = default;
    virtual void set_listener(ProcessListener*) = 0;
    virtual void spawn(const UnitSpec&, Generation) = 0; // idempotent by (key, generation)
    virtual void signal(const std::string& key, Generation, int signal, SignalScope) = 0;
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
