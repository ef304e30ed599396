#include "supervisor/app/dry_run.h"

#include "units/reason.h"
#include "watchers/check_scheduler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace keepwell {

namespace {

std::string run(const Argv& command) {
    return "dry run: would run " + clean_text(fmt::format("{}", fmt::join(command, " ")), 200);
}

std::string target(const std::string& service, std::int64_t pid) {
    return pid != 0 ? fmt::format("pid {}", pid) : service;
}

} // namespace

std::string would_start(const UnitSpec& spec, const std::string& service) {
    if (!service.empty()) return "dry run: would order a start job of " + service;
    const bool child = spec.kind == UnitKind::Child;
    const Argv& command = child ? spec.process.command : spec.process.start_command;
    return command.empty() ? "dry run: would start it, but there is no start_command"
                           : run(command);
}

std::string would_stop(const UnitSpec& spec, const std::string& service, std::int64_t pid) {
    if (!service.empty()) return "dry run: would order a stop job of " + service;
    if (!spec.process.stop_command.empty()) return run(spec.process.stop_command);
    return would_signal(spec.policy.stop.signal, service, pid);
}

std::string would_reload(const UnitSpec& spec) {
    if (spec.process.reload_command.empty() || spec.kind == UnitKind::Systemd)
        return "dry run: would order a reload job of " + spec.systemd.unit;
    return run(spec.process.reload_command);
}

std::string would_signal(int signal, const std::string& service, std::int64_t pid) {
    return fmt::format("dry run: would send {} to {}", signal_name(signal), target(service, pid));
}

} // namespace keepwell
