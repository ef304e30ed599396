// One exec check: the task it runs and what its end means. Pure.
#pragma once

#include "units/ports/task_host.h"
#include "watchers/check_scheduler.h"

#include <string>

namespace keepwell {

// The unit's own surroundings (user, environment, limits, directory) with the check's command.
// `unit` is the unit's process as configured. The label is "web/check:disk".
TaskRequest exec_request(const std::string& unit_key, const ProcessSpec& unit, const CheckSpec&,
                         const ExecCheckSpec&);

// Fills outcome, code (exit code, 128 + signal), output, took and soft (a timeout).
Observation evaluate_exec(const CheckSpec&, const ExecCheckSpec&, const TaskResult&);

} // namespace keepwell
