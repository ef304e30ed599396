// system_metrics: the host's figures against the default thresholds, and their short history.
//
// Internal to supervisor/status. sample() keeps one step per interval, at most 60; rates are those
// between the last two steps and unknown before. A counter that runs backwards gives no rate.
#pragma once

#include "units/snapshot.h"

#include <deque>
#include <optional>
#include <string>

namespace keepwell::status_detail {

class HostHistory {
  public:
    void sample(const HostMetrics&, WallTime now, double interval_s);
    // The whole object, with rates and history.
    std::string json(const HostMetrics&) const;

  private:
    struct StepValues {
        std::optional<double> cpu, memory, disk, rx, tx;
    };
    std::deque<StepValues> steps_;
    HostMetrics last_;
    WallTime last_at_;
    double step_s_ = 30;
};

// The object without rates and history, as the health endpoint's readers know it.
std::string host_metrics_json(const HostMetrics&);

} // namespace keepwell::status_detail
