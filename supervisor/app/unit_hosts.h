// The hosts of all kinds of unit, put together: children under the keeper, daemons with a PID file
// and matched processes, systemd units.
//
// connect() before anything is watched; start_systemd() once what the keeper holds is known.
#pragma once

#include "supervisor/hosts/daemon_host.h"
#include "supervisor/hosts/host_router.h"
#include "supervisor/hosts/systemd_host.h"
#include "supervisor/keeper/keeper_client.h"

#include <functional>
#include <string>

namespace keepwell {

class UnitHosts {
  public:
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        Timers& timers;
        Offload& offload;
        KeeperClient& keeper;
        std::function<bool(const std::string& key)> starting; // see DaemonHost
        std::function<void(const std::string& key, const std::string& text)> tell;
    };
    explicit UnitHosts(const Ports&);

    void connect(ProcessListener*, SightListener*); // the keeper's listener, too
    void start_systemd() { systemd_.start(); }
    ProcessHost& all() { return router_; }
    // The keeper's answer to set_main; false: not about a daemon.
    bool on_main(const std::string& key, Generation g, std::int64_t pid, int error) {
        return daemons_.on_main(key, g, pid, error);
    }
    void ask_systemd(const SystemdCheckSpec& check,
                     std::function<void(const SystemdAnswer&)> done) {
        systemd_.ask(check.bus, check.unit, std::move(done));
    }

  private:
    KeeperClient& keeper_;
    SystemdHost systemd_;
    DaemonHost daemons_;
    HostRouter router_;
};

} // namespace keepwell
