// Metrics: figures of the host and of each unit's process tree for display, sampled every ten
// seconds in the thread pool, so that a thousand units never hold the loop. A fresh process has its
// first CPU figure after two samples.
#pragma once

#include "supervisor/app/fleet.h"
#include "supervisor/uv/loop.h"
#include "watchers/host_sampler.h"
#include "watchers/tree_sample.h"

#include <memory>
#include <string>
#include <unordered_map>

namespace keepwell {

class Metrics {
  public:
    Metrics(uv::Loop&, Fleet&);
    void start();
    const HostMetrics& host() const { return host_; }

  private:
    struct Job;
    void begin();
    void take(const Job&);

    uv::Loop& loop_;
    Fleet& fleet_;
    HostMetrics host_;
    std::shared_ptr<HostSampler> sampler_; // used by one job at a time
    std::shared_ptr<Job> previous_;
    std::shared_ptr<void> work_;
    uv::Timer timer_;
};

} // namespace keepwell
