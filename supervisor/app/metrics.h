// Metrics: figures of the host and of each unit's process tree for display, sampled in the thread
// pool at the intervals of [supervisor.metrics], so that a thousand units never hold the loop.
//
// A fresh process has its first CPU figure after two samples. The host and the units are sampled
// apart: a file system that does not answer keeps only the host's figures old. `on_status` is
// called when one of the host's figures comes over or falls below a threshold.
#pragma once

#include "supervisor/app/fleet.h"
#include "supervisor/uv/loop.h"
#include "watchers/host_sampler.h"
#include "watchers/self_sampler.h"
#include "watchers/tree_sampler.h"

#include <functional>
#include <memory>
#include <string>

namespace keepwell {

class Metrics {
  public:
    Metrics(uv::Loop&, Fleet&, std::function<void()> on_status);
    void start(const MetricsSpec&); // also with other settings, at any time
    const HostMetrics& host() const { return host_; }
    const SelfFigures& self() const { return self_; } // sampled with the host

  private:
    struct HostJob;
    struct UnitsJob;
    void begin_host(bool is_step);
    void take(HostMetrics, bool is_step);
    void begin_units();
    void take(const UnitsJob&);

    uv::Loop& loop_;
    Fleet& fleet_;
    std::function<void()> on_status_;
    MetricsSpec spec_;
    HostMetrics host_;
    SelfFigures self_;
    std::string host_status_;                   // its words, to know a change
    std::shared_ptr<HostSampler> host_sampler_; // each used by one job at a time
    std::shared_ptr<TreeSampler> tree_sampler_;
    std::shared_ptr<void> host_work_, units_work_;
    uv::Timer host_timer_, units_timer_;
};

} // namespace keepwell
