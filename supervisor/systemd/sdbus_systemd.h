// SdbusSystemd: the SystemdBus port on sdbus-c++ and the loop; one object for each bus.
//
// bus: "system" or "user" as the environment says where they are, or an address ("unix:path=…").
// Connects at once. What is passed in must outlive it. No thread but one of the pool while
// connecting (lane Bus). A unit is read by one GetAll of its object; its own name for itself (Id)
// says under which path it signals, so aliases and renamed units are found again by reading.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/offload.h"
#include "units/ports/systemd_bus.h"

#include <memory>

namespace keepwell {

class SdbusSystemd final : public SystemdBus {
  public:
    struct Limits {
        Duration call = std::chrono::seconds(5);    // for the manager to answer
        Duration reload = std::chrono::seconds(90); // for the manager to read its unit files
    };
    SdbusSystemd(uv::Loop&, Offload&, Timers&, const Clock&, const std::string& bus, Limits);
    SdbusSystemd(uv::Loop& loop, Offload& offload, Timers& timers, const Clock& clock,
                 const std::string& bus)
        : SdbusSystemd(loop, offload, timers, clock, bus, Limits()) {}
    ~SdbusSystemd() override;
    SdbusSystemd(const SdbusSystemd&) = delete;
    SdbusSystemd& operator=(const SdbusSystemd&) = delete;

    void set_listener(SystemdListener*) override;
    BusPhase phase() const noexcept override;
    std::string phase_text() const override;
    Status watch(const std::string& name) override;
    void unwatch(const std::string& name) override;
    Status watch_pattern(const std::string& glob) override;
    void unwatch_pattern(const std::string& glob) override;
    const SystemdUnitState* state(const std::string& name) const override;
    void refresh(const std::string& name,
                 std::function<void(const SystemdUnitState*)> done) override;
    JobId order(UnitVerb, const std::string& name, JobMode, Duration deadline,
                JobDone done) override;
    JobId kill(const std::string& name, const std::string& who, int signal, JobDone done) override;
    void forget(JobId) noexcept override;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_; // what is being told holds it until it has been told
};

} // namespace keepwell
