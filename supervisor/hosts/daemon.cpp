#include "supervisor/hosts/daemon.h"

#include "watchers/procfs.h"

#include <algorithm>
#include <ctime>
#include <fmt/format.h>

namespace keepwell {

std::string DaemonHost::Daemon::describe() const {
    if (!spec.service.empty())
        return "belongs to " + owner + " of systemd, as unit." + spec.key + ".service says";
    if (!owner.empty()) return "belongs to " + owner + " of systemd";
    return spec.kind == UnitKind::PidFile ? "named by " + spec.pidfile : "";
}

void DaemonHost::Daemon::set(Phase to, const MainSight& sight) {
    phase = to;
    main = sight;
    owner = owner_of(sight);
    poll.reset();
    handle = ProcessHandle();
    family.clear();
    leftovers.clear();
    candidate.reset();
    ended.reset();
    failure.reset();
    reported = tree_gone = told_absent = false;
    active_looks = 0;
}

void DaemonHost::Daemon::away() {
    const std::string kept = owner;
    set(Phase::Away, MainSight{});
    owner = kept;
}

void DaemonHost::Daemon::keep_leftovers() {
    leftovers.clear();
    for (const Relative& r : family)
        if (auto h = ProcessHandle::open(r.pid, r.start_ticks); h && h.alive())
            leftovers.push_back(std::move(h));
}

void DaemonHost::Daemon::cancel(Timers& timers, Offload& offload) {
    for (TimerId* id : {&deadline, &again, &family_timer}) timers.cancel(std::exchange(*id, 0));
    for (OffloadId* id : {&searching, &sampling})
        if (*id != 0) offload.cancel(std::exchange(*id, 0));
}

Instant began_at(std::uint64_t start_ticks) {
    timespec boot{}, mono{};
    clock_gettime(CLOCK_BOOTTIME, &boot);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    // The time spent suspended: what two clocks read one after the other differ by is no part of
    // it.
    const auto asleep = std::chrono::seconds(boot.tv_sec - mono.tv_sec) +
                        std::chrono::nanoseconds(boot.tv_nsec - mono.tv_nsec);
    const auto rounded = std::chrono::round<std::chrono::seconds>(asleep);
    const auto ticks = static_cast<std::int64_t>(ticks_per_second());
    const auto ns = static_cast<std::int64_t>(start_ticks) * (1'000'000'000 / ticks);
    return Instant{} + std::chrono::nanoseconds(ns) - rounded;
}

std::vector<Relative> family_of(std::int64_t pid) {
    const Procfs proc;
    std::vector<Relative> family;
    for (const std::int64_t one : proc.tree(pid))
        if (const auto stat = one == pid ? std::nullopt : proc.stat(one))
            family.push_back({one, stat->start_ticks});
    return family;
}

MainSight find_match(ProcessTable& table, const MatchSpec& spec, Instant now) {
    const auto any = [](const ProcessEntry& e, const std::vector<std::string>& patterns) {
        return std::any_of(patterns.begin(), patterns.end(),
                           [&](const std::string& p) { return matches(e, p); });
    };
    const Procfs proc;
    const auto entries = table.entries(now);
    MainSight best;
    for (const ProcessEntry& e : *entries) {
        if (!any(e, spec.match) || any(e, spec.exclude)) continue;
        const auto stat = proc.stat(e.pid);
        if (!stat || stat->state == 'Z') continue;
        ++best.count;
        const bool older = best.pid == 0 || stat->start_ticks < best.start_ticks ||
                           (stat->start_ticks == best.start_ticks && e.pid < best.pid);
        if (!older) continue;
        best.pid = e.pid;
        best.start_ticks = stat->start_ticks;
    }
    if (best.count < spec.min) {
        best.why =
            best.count == 0
                ? "no process matches " + (spec.match.empty() ? std::string() : spec.match.front())
                : fmt::format("{} of at least {} processes match", best.count, spec.min);
        best.pid = 0;
    }
    if (best.pid != 0) best.owner = service_of(best.pid);
    return best;
}

} // namespace keepwell
