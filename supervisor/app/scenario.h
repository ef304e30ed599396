// Scenario: a script of failures for `keepwell simulate`, one step a line.
//
//   # a comment
//   10s   fail web/http connection refused     the check fails from now on, with this text
//   70s   pass web/http                        and passes again
//   2m    exit web 1                           the process ends with this code (default 1)
//   3m    kill web SEGV                        or by a signal (default KILL)
//   4m    crash web after 2s                   every start ends after this time
//   9m    steady web                           starts last again
//   10m   stop web                             also start, restart, pause, resume, reset
//   20m   end
//
// Times count from the start of the scenario and never go back. Without `end` it ends ten minutes
// after the last step.
#pragma once

#include "units/result.h"
#include "units/time.h"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

enum class StepKind {
    Fail,
    Pass,
    Exit,
    Kill,
    Crash,
    Steady,
    Start,
    Stop,
    Restart,
    Pause,
    Resume,
    Reset
};

struct ScenarioStep {
    Duration at{};
    StepKind kind = StepKind::Fail;
    std::string unit, check;
    int number = 0; // exit code or signal
    Duration after{};
    std::string text;
    std::size_t line = 0;
};
struct Scenario {
    std::vector<ScenarioStep> steps;
    Duration end{};
};

// The error names the line: "failover.scenario:3: cannot read …".
Result<Scenario> parse_scenario(std::string_view text, const std::string& file);

} // namespace keepwell
