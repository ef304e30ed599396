// system_metrics: the host's figures against [supervisor.metrics], and their short history.
//
// Internal to supervisor/status. The disk of the document is the fullest of those that were looked
// at. The history has at most 60 steps; rates are those between the last two steps and unknown
// before. A counter that runs backwards gives no rate.
#pragma once

#include "units/snapshot.h"

#include <deque>
#include <optional>
#include <string>

namespace keepwell::status_detail {

class HostHistory {
  public:
    // Steps of another length than those before start the history anew.
    void add(const HostMetrics&, WallTime now, double step_s);
    // The whole object, with rates and history.
    std::string json(const HostMetrics&, const MetricsSpec&) const;

  private:
    struct StepValues {
        std::optional<double> cpu, memory, disk, rx, tx;
    };
    std::deque<StepValues> steps_;
    HostMetrics last_;
    WallTime last_at_;
    double step_s_ = 30;
};

std::string status_words(const HostMetrics&, const MetricsSpec&);
// The object without rates and history, as the health endpoint's readers know it.
std::string host_metrics_json(const HostMetrics&, const MetricsSpec&);

} // namespace keepwell::status_detail
