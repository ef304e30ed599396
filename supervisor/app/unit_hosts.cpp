#include "supervisor/app/unit_hosts.h"

#include "supervisor/systemd/sdbus_systemd.h"

#include <unistd.h>

namespace keepwell {

UnitHosts::UnitHosts(const Ports& p)
    : keeper_(p.keeper),
      systemd_({p.clock, p.timers,
                [p](const std::string& bus) {
                    return std::make_unique<SdbusSystemd>(p.loop, p.offload, p.timers, p.clock,
                                                          bus);
                },
                geteuid() == 0 ? "system" : "user", p.tell}),
      daemons_({p.loop, p.clock, p.timers, p.offload, p.keeper,
                [&keeper = p.keeper](const std::string& key, Generation g, std::int64_t pid) {
                    keeper.set_main(key, g, pid);
                },
                [&keeper = p.keeper] { return keeper.keeper_pid(); }, systemd_, p.starting,
                p.tell}),
      router_(p.keeper) {
    router_.set_host(UnitKind::Systemd, systemd_);
    router_.set_host(UnitKind::PidFile, daemons_);
    router_.set_host(UnitKind::Match, daemons_);
}

void UnitHosts::connect(ProcessListener* processes, SightListener* sights) {
    systemd_.set_listeners(processes, sights);
    daemons_.set_listeners(processes, sights);
    keeper_.set_listener(&daemons_);
}

} // namespace keepwell
