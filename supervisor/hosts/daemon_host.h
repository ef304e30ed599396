// DaemonHost: the host of daemons that put themselves into the background (a PID file names them)
// and of processes that match. It stands between the keeper and the fleet: what concerns children
// it passes on untouched.
//
// Their start_command runs as the unit's instance under the keeper, in its cgroup, as its user.
// When it has ended well, the process that the PID file names becomes the instance's main process,
// so its exit status is real. What runs already, and was not started by keepwell, is held by a
// pidfd: its end wakes us, and signals reach it or nobody. A new PID in the file is a new instance
// and no failure. What belongs to a service of systemd is started and stopped by jobs of systemd;
// while its bus is away nothing is done to it, and everything is looked at anew on return.
//
// Files and /proc are read in the pool. It decides nothing. One thread.
#pragma once

#include "supervisor/hosts/service_jobs.h"
#include "supervisor/uv/folder_watch.h"
#include "supervisor/uv/loop.h"
#include "units/ports/offload.h"
#include "units/ports/process_host.h"
#include "watchers/pid_file.h"
#include "watchers/process_table.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace keepwell {

class DaemonHost final : public ProcessHost, public ProcessListener {
  public:
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        Timers& timers;
        Offload& offload;
        ProcessHost& keeper;
        std::function<void(const std::string& key, Generation, std::int64_t pid)> set_main;
        std::function<std::int64_t()> keeper_pid;
        ServiceJobs& services;
        // Its start is under way and no process of it is known: asked for what the keeper lists.
        std::function<bool(const std::string& key)> starting;
        std::function<void(const std::string& key, const std::string& text)> tell;
    };
    explicit DaemonHost(Ports);
    ~DaemonHost() override;
    void set_listeners(ProcessListener*, SightListener*);
    // The keeper's answer to set_main; false: not a key of ours.
    bool on_main(const std::string& key, Generation, std::int64_t pid, int error);

    // ProcessHost
    void set_listener(ProcessListener*) override {}
    void watch(const UnitSpec&) override;
    void forget(const std::string& key) override;
    void spawn(const UnitSpec&, Generation) override;
    void stop(const UnitSpec&, Generation, bool comes_back) override;
    void signal(const std::string& key, Generation, int signal, SignalScope) override;
    void signal_by_hand(const std::string& key, Generation, int signal,
                        std::function<void(const std::string&)> done) override;
    void ack(const std::string& key, Generation) override;
    std::vector<Survivor> survivors(const std::string& key) override;
    std::string cgroup_of(const std::string& key) const override;
    std::vector<std::string> missing_limits(const std::string& key) const override;
    bool owns_tree(const std::string& key) const override;
    bool started_here(const std::string& key) const override;
    std::optional<ManagedState> managed(const std::string& key) const override;

    // ProcessListener: what the keeper says
    void on_spawned(const std::string& key, Generation, std::int64_t pid) override;
    void on_spawn_failed(const std::string& key, Generation, SpawnStage, int error,
                         const std::string& text) override;
    void on_exited(const std::string& key, Generation, const ExitStatus&) override;
    void on_tree_empty(const std::string& key, Generation) override;
    void on_adopted(const std::string& key, Generation, std::int64_t pid,
                    Instant started_at) override;
    void on_list_complete() override;

  private:
    struct Daemon;
    Daemon* find(const std::string& key) const;
    void search(const std::string& key);
    void found(Daemon&, const MainSight&);
    void found_while_starting(Daemon&, const MainSight&);
    void take(Daemon&, const MainSight&); // this one is the main process now
    void hold(Daemon&, const MainSight&);
    void start_late(Daemon&);
    void await(Daemon&);
    void meet_exited(Daemon&, Generation, const ExitStatus&);
    void fail_start(Daemon&, SpawnStage, int error, const std::string& text);
    void main_ended(Daemon&, const ExitStatus&);
    void report_end(Daemon&);
    void ask_owner(const std::string& key);
    void owner_says(Daemon&, const SystemdSight&);
    void look_at_services();
    void see_again(Daemon&);
    static bool only_looked_at(const Daemon&);
    bool blind(const Daemon&) const;
    bool owner_judges(const Daemon&) const;
    void tell_blind(Daemon&);
    void watch_leftovers(const std::string& key);
    void await_status(const std::string& key, int tries);
    void sample_family(const std::string& key);
    void send(const Daemon&, int signal, SignalScope);
    void order(Daemon&, bool start, Generation);
    void start_answered(Daemon&, Generation, const ServiceAnswer&);
    void stop_answered(Daemon&, Generation, const ServiceAnswer&);
    void again(Daemon&, Duration);
    void look_later(const std::string& key);

    Ports p_;
    ProcessListener* processes_ = nullptr;
    SightListener* sights_ = nullptr;
    bool listed_ = false;
    std::shared_ptr<ProcessTable> table_ = std::make_shared<ProcessTable>();
    std::unordered_map<std::string, std::unique_ptr<Daemon>> daemons_;
    uv::FolderWatch folders_;
};

} // namespace keepwell
