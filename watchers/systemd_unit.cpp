#include "watchers/systemd_unit.h"

#include <csignal>

namespace keepwell {

namespace {

Instant since_boot(std::uint64_t us) { return Instant{} + std::chrono::microseconds(us); }

SystemdSight there(const SystemdUnitState& s) {
    SystemdSight sight;
    sight.kind = SightKind::There;
    sight.pid = s.main_pid;
    sight.started_at =
        since_boot(s.main_pid != 0 && s.exec_main_start != 0 ? s.exec_main_start : s.active_enter);
    return sight;
}

SystemdSight invisible(Blindness why, std::string text) {
    SystemdSight sight;
    sight.kind = SightKind::Invisible;
    sight.why = why;
    sight.text = std::move(text);
    return sight;
}

SystemdSight gone(const SystemdUnitState& s, bool seen_before) {
    SystemdSight sight;
    sight.kind = SightKind::Gone;
    sight.status = exit_of(s);
    const bool failed = s.active_state == "failed";
    // Inactive with success is a stop, unless it was never started since the host did.
    const bool ran = seen_before || s.inactive_enter != 0 || s.active_exit != 0;
    sight.on_purpose = !failed && s.result == "success" && ran;
    if (failed) sight.text = "systemd: " + s.result;
    // With a Restart= of its own `failed` lasts for less than a millisecond, and a restart by hand
    // passes through `inactive`.
    sight.passing = !failed || s.restart != "no";
    return sight;
}

} // namespace

ExitStatus exit_of(const SystemdUnitState& s) noexcept {
    ExitStatus status;
    status.oom = s.result == "oom-kill";
    if (s.exec_main_code == CLD_EXITED) {
        status.known = true;
        status.code = s.exec_main_status;
    } else if (s.exec_main_code == CLD_KILLED || s.exec_main_code == CLD_DUMPED) {
        status.known = true;
        status.signal = s.exec_main_status;
        status.core = s.exec_main_code == CLD_DUMPED;
    }
    return status;
}

SystemdSight judge(const SystemdUnitState& s, bool seen_before) {
    const bool down = s.active_state == "inactive" || s.active_state == "failed";
    if (s.active_state.empty()) return {};
    if (down && s.load_state == "masked") return invisible(Blindness::Masked, "");
    if (down && s.load_state != "loaded")
        return invisible(Blindness::NotFound, s.load_error.empty() ? s.load_state : s.load_error);
    if (s.active_state == "active" || s.active_state == "reloading" ||
        s.active_state == "refreshing")
        return there(s);
    if (s.active_state == "activating" && s.sub_state == "auto-restart") {
        SystemdSight sight;
        sight.kind = SightKind::Held;
        sight.status = exit_of(s);
        sight.text = "systemd: " + s.result;
        return sight;
    }
    if (!down || s.job_id != 0) return {};
    return gone(s, seen_before);
}

} // namespace keepwell
