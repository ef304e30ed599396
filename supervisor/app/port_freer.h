// PortFreer: the ladder step "free-port". Finds who holds the ports that a unit's checks look at,
// and ends it only when it is a left-over of this same unit.
//
// It looks in the pool, tells what it found, and sends SIGTERM, then SIGKILL after at most three
// seconds (or the step's timeout, when that is shorter). One search for a unit at a time.
#pragma once

#include "actions/process_handle.h"
#include "supervisor/uv/loop.h"
#include "units/ports/timers.h"
#include "watchers/left_over.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

namespace keepwell {

class PortFreer {
  public:
    using Tell = std::function<void(const std::string& unit, const std::string& text)>;
    PortFreer(uv::Loop&, const Clock&, Timers&, Tell);
    ~PortFreer();
    PortFreer(const PortFreer&) = delete;
    PortFreer& operator=(const PortFreer&) = delete;

    void free(const LeftOverQuery&, Duration timeout);
    void forget(const std::string& unit);

  private:
    struct Job;
    void found(Job&);
    void kill(const std::string& unit);

    uv::Loop& loop_;
    const Clock& clock_;
    Timers& timers_;
    Tell tell_;
    std::unordered_map<std::string, std::unique_ptr<Job>> jobs_;
};

} // namespace keepwell
