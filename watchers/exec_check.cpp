#include "watchers/exec_check.h"

#include "watchers/text.h"

#include <system_error>

namespace keepwell {

namespace {

std::string cannot_run(const ExecCheckSpec& exec, const TaskResult& result) {
    std::string text = "cannot run " + clean_text(exec.command.empty() ? "" : exec.command[0], 100);
    text += ": " + std::string(to_string(result.failed_stage));
    if (result.error != 0) text += ": " + std::generic_category().message(result.error);
    return text;
}

std::string ended(const ExitStatus& status, std::string_view output) {
    std::string text = describe(status);
    if (const std::string line = last_line(output); !line.empty()) text += ": " + line;
    return text;
}

} // namespace

TaskRequest exec_request(const std::string& unit_key, const ProcessSpec& unit,
                         const CheckSpec& check, const ExecCheckSpec& exec) {
    TaskRequest request;
    request.label = unit_key + "/check:" + check.id;
    request.process.command = exec.command;
    request.process.directory = exec.directory.empty() ? unit.directory : exec.directory;
    request.process.user = exec.run_as ? exec.run_as : unit.user;
    request.process.umask = unit.umask;
    request.process.nice = unit.nice;
    request.process.oom_score_adj = unit.oom_score_adj;
    request.process.environment = unit.environment;
    request.process.limits = unit.limits;
    request.timeout = check.timeout;
    return request;
}

Observation evaluate_exec(const CheckSpec& check, const ExecCheckSpec& exec,
                          const TaskResult& result) {
    Observation seen;
    seen.took = result.took;
    seen.outcome = CheckOutcome::Fail;
    if (result.failed_stage != SpawnStage::None) {
        seen.output = cannot_run(exec, result);
        return seen;
    }
    if (result.timed_out) {
        seen.soft = true;
        seen.output = "timed out after " + short_duration(check.timeout);
        return seen;
    }
    const ExitStatus& status = result.status;
    seen.code = status.signal != 0 ? 128 + status.signal : status.code;
    const bool exited = status.known && status.signal == 0;
    if (exited && status.code == 0) {
        seen.outcome = CheckOutcome::Pass;
        seen.output = clean_text(result.output);
        if (seen.output.empty()) seen.output = "exit 0";
        return seen;
    }
    if (exited && exec.warn_exit && *exec.warn_exit == status.code)
        seen.outcome = CheckOutcome::Warn;
    seen.output = ended(status, result.output);
    return seen;
}

} // namespace keepwell
