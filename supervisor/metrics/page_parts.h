// The parts of the page. Internal to supervisor/metrics.
#pragma once

#include "supervisor/metrics/exposition.h"
#include "supervisor/metrics/page.h"

namespace keepwell::metrics {

void write_units(Exposition&, const std::vector<UnitRow>&);
void write_checks(Exposition&, const std::vector<UnitRow>&);

inline double unix_seconds(WallTime t) { return static_cast<double>(t.ms) / 1000; }

} // namespace keepwell::metrics
