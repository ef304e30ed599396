#include "supervisor/engine/note_text.h"

#include "units/reason.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>

namespace keepwell {

namespace {

std::string check_id(const Note& n, const UnitSpec& spec) {
    return n.check < spec.checks.size() ? spec.checks[n.check].id : std::string("?");
}

std::string check_text(const Note& n, const StepInfo& info, const char* fallback) {
    std::string text = info.text.detail.empty() ? fallback : info.text.detail;
    if (info.text.took_ms >= 0)
        text +=
            fmt::format(" in {}", human_duration(Duration(std::llround(info.text.took_ms * 1e6))));
    if (n.of > 0) text += fmt::format(" ({}/{})", n.count, n.of);
    return text;
}

std::string why_not(std::int64_t code) {
    if (code == 0) return "dry run";
    if (code == 1) return "heal = false";
    if (code == 3) return "restart = \"never\"";
    return "paused";
}

std::string by(const StepInfo& info) { return info.text.who.empty() ? "" : " by " + info.text.who; }

std::string budget_text(const Note& n, const UnitSpec& spec) {
    return fmt::format("{} (restart {} of {} in {})", human_duration(n.delay), n.count, n.of,
                       human_duration(spec.policy.budget.within));
}

std::string spawn_failure(const Note& n, const StepInfo& info) {
    const bool of_command = n.stage == SpawnStage::PreStart || n.stage == SpawnStage::StartCommand;
    const std::string where =
        of_command
            ? fmt::format("{} ended with {}", to_string(n.stage), n.code)
            : fmt::format("{}: {}", to_string(n.stage), std::strerror(static_cast<int>(n.code)));
    return info.text.detail.empty() ? where : info.text.detail;
}

std::string stop_means(const UnitSpec& spec, int signal) {
    if (spec.kind == UnitKind::Systemd || !spec.service.empty()) return "stop job";
    return spec.process.stop_command.empty() ? signal_name(signal) : "stop_command";
}

// Exits that nobody asked for begin an incident.
bool unexpected(const StepInfo& info) {
    return info.before.state == State::Running || info.before.state == State::Starting;
}

NoteText check_note(const Note& n, const StepInfo& info) {
    NoteText t{"check", check_id(n, info.spec), "", "", false};
    if (n.kind == NoteKind::CheckFailed)
        t.text = check_text(n, info, "failed");
    else if (n.kind == NoteKind::CheckWarned)
        t.text = check_text(n, info, "warned");
    else
        t.text = check_text(n, info, "passed");
    return t;
}

NoteText exit_note(const Note& n, const StepInfo& info) {
    std::string text = fmt::format("{} {}", info.before.pid, describe(n.status));
    if (info.before.started_at != Instant{})
        text += " after " + human_duration(info.after.last_exit_at - info.before.started_at);
    return {"exit", "", text, info.text.detail, unexpected(info)};
}

std::string_view effect_word(CheckEffect effect) {
    return effect == CheckEffect::None ? "shown only" : to_string(effect);
}

} // namespace

NoteText describe(const Note& n, const StepInfo& info,
                  const std::function<std::string(UnitIndex)>& key_of) {
    const UnitSpec& spec = info.spec;
    switch (n.kind) {
    case NoteKind::CheckFailed:
    case NoteKind::CheckWarned:
    case NoteKind::CheckPassed: return check_note(n, info);
    case NoteKind::Tripped:
        return {"trip", check_id(n, spec),
                fmt::format("{} of {} failed: {}; policy {}", n.count, n.of,
                            n.check < spec.checks.size() ? effect_word(spec.checks[n.check].effect)
                                                         : "down",
                            spec.policy.name),
                "", true};
    case NoteKind::HeldByStormGuard:
        return {"held", check_id(n, spec),
                "not restarted: restarts_per_minute of this host is used up; tried again at the "
                "next failure",
                "", false};
    case NoteKind::WouldRestart:
        return {"held", "", "would restart, but " + why_not(n.code), "", false};
    case NoteKind::StopBegan:
        return {"stop", "",
                (spec.dry_run ? "asked for: " : "") + stop_means(spec, static_cast<int>(n.code)),
                "", false};
    case NoteKind::KillSent:
        return {"kill", "",
                fmt::format("SIGKILL after {}{}", human_duration(spec.policy.stop.timeout),
                            n.count > 1 ? fmt::format(", time {}", n.count) : ""),
                "", false};
    case NoteKind::Exited: return exit_note(n, info);
    case NoteKind::TreeEmpty: return {"gone", "", "the whole tree is gone", "", false};
    case NoteKind::SpawnFailed:
        if (n.stage == SpawnStage::DryRun)
            return {"held", "", "not started", info.text.detail, false};
        return {"start", "", "cannot start: " + spawn_failure(n, info), "", true};
    case NoteKind::Backoff: return {"backoff", "", budget_text(n, spec), "", false};
    case NoteKind::BudgetSpent:
        return {"budget", "",
                fmt::format("{} restarts in {} used up", n.count,
                            human_duration(spec.policy.budget.within)),
                "", true};
    case NoteKind::Cooldown:
        return {"cooldown", "", "next try in " + human_duration(n.delay), "", false};
    case NoteKind::GaveUp:
        return {"failed", "",
                "not restarted again (budget.then = \"stop\"); fix it, then: keepwell start " +
                    spec.key,
                "", true};
    case NoteKind::Completed: return {"completed", "", "done", "", false};
    case NoteKind::Waiting: return {"wait", "", "needs " + key_of(n.unit), "", false};
    case NoteKind::StartBegan:
        return {"start", "", fmt::format("generation {}", n.count), "", false};
    case NoteKind::Started: return {"start", "", fmt::format("pid {}", n.code), "", false};
    case NoteKind::Adopted:
        return {"adopt", "", fmt::format("pid {} kept across a restart of keepwell", n.code), "",
                false};
    case NoteKind::MainChanged:
        return {"main", "", fmt::format("pid {} is the main process now", n.code), "", false};
    case NoteKind::NotReady:
        return {"ready", "", "not ready in " + human_duration(spec.ready_timeout), "", true};
    case NoteKind::Running: return {"ready", "", "running", "", false};
    case NoteKind::Healthy:
        return {"healthy", "",
                n.delay.count() > 0 ? "recovered in " + human_duration(n.delay) : "healthy", "",
                false};
    case NoteKind::BackoffReset: return {"reset", "", "backoff and budget reset", "", false};
    case NoteKind::Paused: return {"pause", "", "actions paused" + by(info), "", false};
    case NoteKind::Resumed: return {"pause", "", "actions resumed" + by(info), "", false};
    case NoteKind::OperatorStart: return {"operator", "", "start" + by(info), "", false};
    case NoteKind::OperatorStop: return {"operator", "", "stop" + by(info), "", false};
    case NoteKind::OperatorRestart: return {"operator", "", "restart" + by(info), "", false};
    case NoteKind::OperatorReset: return {"operator", "", "reset" + by(info), "", false};
    case NoteKind::Appeared:
        return {"appear", "",
                n.code > 0 ? fmt::format("pid {} is there, not started by keepwell", n.code)
                           : "is there, not started by keepwell",
                info.text.detail, false};
    case NoteKind::Gone: return exit_note(n, info);
    case NoteKind::StoppedElsewhere:
        return {"stopped", "", "stopped on purpose, not by keepwell: stays stopped",
                info.text.detail, false};
    case NoteKind::Held:
        return {"held", "", "systemd restarts it by its own Restart=; keepwell waits",
                info.text.detail, false};
    case NoteKind::Blinded:
        return {"blind", "",
                fmt::format("{}; no action while nothing can be seen",
                            to_string(static_cast<Blindness>(n.code))),
                info.text.detail, false};
    case NoteKind::StopRefused:
        return {"stop", "", "refused, so it goes on", info.text.detail, true};
    case NoteKind::Unkillable:
        return {"kill", "", "SIGKILL did not end it; nothing is started beside it",
                info.text.detail, true};
    }
    return {};
}

} // namespace keepwell
