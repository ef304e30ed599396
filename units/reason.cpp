#include "units/reason.h"

#include <algorithm>
#include <array>
#include <system_error>

namespace keepwell {

namespace {

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '.' || text.back() == ' ' || text.back() == '\n')) {
        text.pop_back();
    }
    return text;
}

std::string error_text(int code) { return std::generic_category().message(code); }

// The type says enough while it is the only one of its type; else the ID has to tell them apart.
std::string label(const UnitSpec& spec, const CheckSpec& check) {
    const std::string_view type = type_name(check.probe);
    const auto same_type = std::ranges::count_if(spec.checks, [&](const CheckSpec& other) {
        return other.probe.index() == check.probe.index();
    });
    if (same_type < 2 || check.id == type) return std::string(type);
    return check.id + ": " + std::string(type);
}

std::string of_check(const Reason& reason, const UnitSpec& spec, const std::string& detail,
                     std::string_view fallback) {
    if (reason.check >= spec.checks.size()) return "check " + std::string(fallback);
    const CheckSpec& check = spec.checks[reason.check];
    const std::string type(type_name(check.probe));
    const bool warning = reason.kind == ReasonKind::CheckWarning;
    std::string what = trimmed(detail);
    if (std::holds_alternative<HttpCheckSpec>(check.probe) && reason.code != 0 && !warning) {
        what = std::to_string(reason.code);
    } else if (std::holds_alternative<ExecCheckSpec>(check.probe) && reason.code != 0) {
        what = "exit " + std::to_string(reason.code);
    } else if (what.starts_with(type + " ")) {
        what.erase(0, type.size() + 1);
    }
    return label(spec, check) + " " + (what.empty() ? std::string(fallback) : what);
}

std::string of_spawn(const Reason& reason, const std::string& detail) {
    if (reason.stage == SpawnStage::Timeout) return "timed out";
    std::string text(to_string(reason.stage));
    if (reason.stage == SpawnStage::Manager || reason.stage == SpawnStage::PidFile ||
        reason.stage == SpawnStage::DryRun) {
        const std::string why = trimmed(detail);
        return why.empty() ? text : why;
    }
    const bool of_command =
        reason.stage == SpawnStage::PreStart || reason.stage == SpawnStage::StartCommand;
    if (of_command && reason.code == 0)
        return detail.empty() ? text + ": its process was not there" : trimmed(detail);
    if (of_command) {
        ExitStatus status;
        status.known = true;
        status.code = reason.code;
        if (reason.code > 128) status.signal = reason.code - 128;
        return text + ": " + describe(status);
    }
    if (reason.code != 0) text += ": " + error_text(reason.code);
    return text;
}

std::string of_exit(const ExitStatus& status, const UnitSpec& spec) {
    std::string text = describe(status);
    if (const auto& limit = spec.process.limits.memory; limit && status.oom)
        text += " (memory limit " + human_size(*limit) + ")";
    return text;
}

} // namespace

std::string describe(const Reason& reason, const UnitSpec& spec,
                     const std::function<std::string(UnitIndex)>& unit_key,
                     const std::string& detail) {
    switch (reason.kind) {
    case ReasonKind::None: return "";
    case ReasonKind::Operator: return "by operator";
    case ReasonKind::Autostart: return "autostart";
    case ReasonKind::Shutdown: return "shutdown";
    case ReasonKind::CheckFailing: {
        std::string text = of_check(reason, spec, detail, "failed");
        if (reason.count == 0) return text;
        return text + " (" + std::to_string(reason.count) + "/" + std::to_string(reason.of) + ")";
    }
    case ReasonKind::CheckWarning: return of_check(reason, spec, detail, "slow");
    case ReasonKind::Exited: return of_exit(reason.status, spec);
    case ReasonKind::SpawnFailed:
        return (reason.stage == SpawnStage::DryRun ? "" : "cannot start: ") +
               of_spawn(reason, detail);
    case ReasonKind::HostBusy: return "host busy: " + of_spawn(reason, detail);
    case ReasonKind::NotReady: return "not ready after " + human_duration(spec.ready_timeout);
    case ReasonKind::Dependency:
        return "needs " + (unit_key ? unit_key(reason.unit) : std::to_string(reason.unit));
    case ReasonKind::BudgetSpent:
        return "budget spent (" + std::to_string(spec.policy.budget.restarts) + " in " +
               human_duration(spec.policy.budget.within) + ")";
    case ReasonKind::Unkillable:
        if (spec.kind == UnitKind::Systemd)
            return "stop job still running after " + human_duration(spec.policy.stop.timeout);
        if (spec.policy.stop.kill == KillScope::Never) {
            return "not ended by " + signal_name(spec.policy.stop.signal);
        }
        return "not killed by SIGKILL";
    case ReasonKind::Completed: return "completed";
    case ReasonKind::StoppedElsewhere: return "stopped, not by keepwell";
    case ReasonKind::Held: return of_exit(reason.status, spec) + "; systemd restarts it itself";
    case ReasonKind::Blind: return std::string(to_string(static_cast<Blindness>(reason.code)));
    }
    return "";
}

std::string human_duration(Duration d) {
    using namespace std::chrono;
    const bool negative = d < Duration::zero();
    const auto ms =
        negative ? -duration_cast<milliseconds>(d).count() : duration_cast<milliseconds>(d).count();
    const std::string sign = negative && ms > 0 ? "-" : "";
    if (ms < 1000) return sign + std::to_string(ms) + "ms";
    if (ms < 10'000 && ms % 1000 >= 100) {
        return sign + std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + "s";
    }
    struct Unit {
        std::int64_t seconds;
        const char* name;
    };
    constexpr std::array<Unit, 4> units{{{86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}}};
    std::int64_t rest = ms / 1000;
    for (std::size_t i = 0; i < units.size(); ++i) {
        if (rest < units[i].seconds) continue;
        std::string text = sign + std::to_string(rest / units[i].seconds) + units[i].name;
        if (i + 1 == units.size()) return text;
        const std::int64_t next = rest % units[i].seconds / units[i + 1].seconds;
        if (next > 0) text += " " + std::to_string(next) + units[i + 1].name;
        return text;
    }
    return sign + "0s";
}

std::string human_size(std::uint64_t bytes) {
    static constexpr std::array units = {"B", "K", "M", "G", "T", "P"};
    std::size_t unit = 0;
    std::uint64_t tenths = bytes * 10;
    for (; tenths >= 10240 && unit + 1 < units.size(); ++unit) tenths /= 1024;
    std::string text = std::to_string(tenths / 10);
    if (tenths < 100 && tenths % 10 != 0) text += '.' + std::to_string(tenths % 10);
    return text + units[unit];
}

} // namespace keepwell
