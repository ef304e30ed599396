// SystemdHost: the host of systemd units. It tells what systemd says about them (watchers/
// systemd_unit.h) and turns starts and stops into jobs. It decides nothing.
//
// One connection for each bus that a unit has named, made at its first unit and kept to the end.
// A unit whose bus is not up is blind; starts ordered meanwhile fail as the host's fault. systemd's
// own TimeoutStopSec= decides when it kills; we never do. One thread.
#pragma once

#include "supervisor/hosts/service_jobs.h"
#include "units/ports/clock.h"
#include "units/ports/process_host.h"
#include "units/ports/systemd_bus.h"
#include "units/ports/systemd_state.h"
#include "units/ports/timers.h"
#include "watchers/systemd_unit.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace keepwell {

class SystemdHost final : public ProcessHost, public ServiceJobs {
  public:
    using MakeBus = std::function<std::unique_ptr<SystemdBus>(const std::string& address)>;
    struct Ports {
        const Clock& clock;
        Timers& timers;
        MakeBus make_bus;
        std::string services_bus; // of services that daemons of other kinds belong to
        // What a unit of ours should know, for the timeline.
        std::function<void(const std::string& key, const std::string& text)> tell;
    };
    explicit SystemdHost(Ports);
    ~SystemdHost() override;

    void set_listeners(ProcessListener*, SightListener*);
    void start(); // from now on it may tell: what the others hold is known

    void set_listener(ProcessListener*) override {}
    void watch(const UnitSpec&) override;
    void forget(const std::string& key) override;
    void spawn(const UnitSpec&, Generation) override;
    void stop(const UnitSpec&, Generation, bool comes_back) override;
    bool reload(const UnitSpec&, const std::function<void(const std::string&)>& done) override;
    void signal(const std::string& key, Generation, int signal, SignalScope) override;
    void signal_by_hand(const std::string& key, Generation, int signal,
                        std::function<void(const std::string&)> done) override;
    void ack(const std::string&, Generation) override {}
    std::vector<Survivor> survivors(const std::string&) override { return {}; }
    std::string cgroup_of(const std::string& key) const override;
    std::vector<std::string> missing_limits(const std::string&) const override { return {}; }
    bool owns_tree(const std::string&) const override { return true; }
    std::optional<ManagedState> managed(const std::string& key) const override;
    bool started_here(const std::string&) const override { return false; }

    // ServiceJobs, of the system's manager
    void start_service(const std::string& unit, Duration deadline, ServiceDone done) override;
    void stop_service(const std::string& unit, Duration deadline, ServiceDone done) override;
    std::optional<ServicesBlind> services_blind() const override;
    void set_services_watcher(std::function<void()> f) override { services_ = std::move(f); }
    void attend_service(const std::string& unit) override;
    ManagedState service_state(const std::string& unit) const override;
    void look_at_service(const std::string& unit, bool seen,
                         std::function<void(const SystemdSight&)> done) override;

    // The state of any unit on a bus, for checks (units/ports/systemd_state.h).
    void ask(const std::string& bus, const std::string& unit,
             std::function<void(const SystemdAnswer&)> done);

  private:
    class Session;
    struct Unit;

    Session& session(const std::string& address);
    Unit* find(const std::string& key) const;
    static ManagedState shown(Session&, const std::string& unit);
    void order_service(UnitVerb, const std::string& unit, Duration deadline, ServiceDone done);
    void services_changed(const Session&);
    static std::string cannot_ask(Session&);
    void order_start(const std::string& key, Generation);
    void start_answered(const std::string& key, Generation, const JobResult&);
    void stop_answered(const std::string& key, Generation, const JobResult&);
    void bring_back(Unit&);
    void spawn_failed(const std::string& key, Generation, int error, const std::string& text);
    void discover(const std::string& key, const std::string& name);
    void look(Unit&, bool settled = false); // tells what is new
    void tell_sight(Unit&, const SystemdSight&);
    void tell_blind_again(const std::string& key);
    void watch_dependents(Unit&, const SystemdUnitState&);
    void release(Unit&);
    void later(std::function<void()>);

    Ports p_;
    ProcessListener* processes_ = nullptr;
    SightListener* sights_ = nullptr;
    bool started_ = false;
    std::function<void()> services_; // when they become blind, or seen again
    std::unordered_map<std::string, std::unique_ptr<Session>> sessions_; // by address
    std::unordered_map<std::string, std::unique_ptr<Unit>> units_;       // by key
};

} // namespace keepwell
