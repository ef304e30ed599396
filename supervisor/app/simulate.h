// Simulate: a configuration through a scenario in virtual time, with the real engine.
//
// Nothing is started or asked. A start takes 20 ms and lasts, unless the scenario says otherwise; a
// stop takes 100 ms; checks run on their own intervals and pass, unless the scenario says that they
// fail. Same input, same story: there is no jitter.
#pragma once

#include "supervisor/app/scenario.h"
#include "units/unit_spec.h"

#include <string>
#include <vector>

namespace keepwell {

struct SimulatedLine {
    Duration at{}; // since the start of the scenario
    std::string unit, kind, subject, text, detail;
};
struct SimulatedUnit {
    std::string key, state, health;
    std::uint64_t restarts = 0;
    Duration unwell{}; // how long it was not healthy after it first was
};
struct Simulated {
    std::vector<SimulatedLine> lines;
    std::vector<SimulatedUnit> units;
};

// An Error names a unit or check of the scenario that the configuration does not have.
Result<Simulated> simulate(const Configuration&, const Scenario&, const std::string& file);

} // namespace keepwell
