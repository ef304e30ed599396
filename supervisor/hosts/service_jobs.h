// What a host of other kinds asks of systemd for a daemon that belongs to one of its services.
//
// done() comes on the loop, exactly once, never from inside the call. While services are blind
// nothing is ordered.
#pragma once

#include "units/snapshot.h"
#include "watchers/systemd_unit.h"

#include <functional>
#include <optional>
#include <string>

namespace keepwell {

struct ServiceAnswer {
    std::string error; // empty = it worked
    bool lost = false; // nobody could be asked, or what became of it is not known
};
struct ServicesBlind { // the bus is lost, or its manager does not answer
    Blindness why = Blindness::BusLost;
    std::string text;
};

class ServiceJobs {
  public:
    using ServiceDone = std::function<void(const ServiceAnswer&)>;
    virtual ~ServiceJobs() = default;
    virtual void start_service(const std::string& unit, Duration deadline, ServiceDone done) = 0;
    virtual void stop_service(const std::string& unit, Duration deadline, ServiceDone done) = 0;
    virtual std::optional<ServicesBlind> services_blind() const = 0;
    // Called when services become blind, and when all of them have been read again.
    virtual void set_services_watcher(std::function<void()>) = 0;
    // A daemon of it is held from now on: the bus is connected before the first order.
    virtual void attend_service(const std::string& unit) = 0;
    // What status shows of it; only the unit's name where nothing is known.
    virtual ManagedState service_state(const std::string& unit) const = 0;
    // How systemd sees it; Coming when it cannot be known. seen: see watchers/systemd_unit.h.
    virtual void look_at_service(const std::string& unit, bool seen,
                                 std::function<void(const SystemdSight&)> done) = 0;
};

} // namespace keepwell
