// The page of GET /metrics: every metric of keepwell in Prometheus' text format, from values that
// others have collected; nothing is read or sampled here.
//
// docs/metrics.md is the list. Base units; label values are names of the configuration; a metric
// whose value is not known has no sample. Pure.
#pragma once

#include "supervisor/api/api_counters.h"
#include "supervisor/engine/unit_view.h"
#include "supervisor/metrics/tally.h"
#include "units/snapshot.h"
#include "watchers/self_sampler.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::metrics {

struct UnitRow { // what it points to lives until the page is written
    const UnitSpec* spec = nullptr;
    const UnitRecord* record = nullptr;
    const UnitTally* tally = nullptr; // aligned and stamped
    const ProcessFigures* figures = nullptr;
    std::uint64_t log_bytes = 0, log_dropped = 0;
};

struct PageInput {
    std::vector<UnitRow> units; // in the order of the configuration
    std::string_view version;
    WallTime started_at, reloaded_at, status_written_at; // 0 = never
    bool reload_ok = true;
    std::uint64_t status_errors = 0;
    const Histogram* loop_lag = nullptr;
    const HostMetrics* host = nullptr;
    const SelfFigures* self = nullptr;
    const ApiCounters* api = nullptr;
};

// Seconds; the bounds of PageInput::loop_lag.
inline constexpr std::array<double, 9> kLagBounds = {0.0001, 0.001, 0.005, 0.01, 0.05,
                                                     0.1,    0.5,   1,     5};

std::string write_page(const PageInput&);

} // namespace keepwell::metrics
