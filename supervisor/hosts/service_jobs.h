// What a host of other kinds asks of systemd for a daemon that belongs to one of its services.
//
// done() comes on the loop, exactly once, never from inside the call; an empty error = it worked.
#pragma once

#include "units/snapshot.h"
#include "watchers/systemd_unit.h"

#include <functional>
#include <string>

namespace keepwell {

class ServiceJobs {
  public:
    virtual ~ServiceJobs() = default;
    virtual void start_service(const std::string& unit, Duration deadline,
                               std::function<void(const std::string& error)> done) = 0;
    virtual void stop_service(const std::string& unit, Duration deadline,
                              std::function<void(const std::string& error)> done) = 0;
    // A daemon of it is held from now on: the bus is connected before the first order.
    virtual void attend_service(const std::string& unit) = 0;
    // What status shows of it; only the unit's name where nothing is known.
    virtual ManagedState service_state(const std::string& unit) const = 0;
    // How systemd sees it; Coming when it cannot be known.
    virtual void look_at_service(const std::string& unit,
                                 std::function<void(const SystemdSight&)> done) = 0;
};

} // namespace keepwell
