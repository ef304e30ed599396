// The verbs about keepwell itself: shutdown, upgrade.
#include "supervisor/cli/progress.h"
#include "supervisor/cli/render.h"
#include "supervisor/cli/verbs.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <map>
#include <optional>

namespace keepwell::cli {

namespace {

constexpr int kFirstLookMs = 50;
constexpr int kLastLookMs = 250;
constexpr int kUpgradePatienceMs = 30'000; // ten seconds each for the check and the old supervisor

// What still runs, for the progress of a shutdown.
void show_remaining(Context& context, std::string& last) {
    if (!context.style().terminal) return;
    auto answer = context.client().get("/api/status");
    if (!answer || answer->status != 200) return;
    const auto status = Json::parse(answer->body);
    if (!status) return;
    std::string names;
    const Json services = (*status)["services"];
    for (const auto& key : services.keys()) {
        if (!services[key]["pid"].number()) continue;
        names += (names.empty() ? "" : ", ") + safe_text(key);
    }
    if (names.empty() || names == last) return;
    last = names;
    context.out() << "\r\x1b[K"
                  << fit("stopping " + names, context.style().width - 1, context.style())
                  << std::flush;
}

// Ended, also when nobody has waited for it yet.
bool process_gone(std::int64_t pid) {
    if (pid <= 0 || (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH)) return true;
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string stat;
    std::getline(file, stat);
    const std::size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat[name_end + 2] == 'Z';
}

struct Running {                // the program behind the socket
    std::string version, error; // error: of the last upgrade
    std::int64_t pid = 0, keeper_pid = 0;
    bool upgrading = false;
};

std::optional<Running> running(Context& context) {
    auto answer = context.client().get("/api/runtime");
    if (!answer || answer->status != 200) return std::nullopt;
    const auto parsed = Json::parse(answer->body);
    if (!parsed) return std::nullopt;
    const Json& r = *parsed;
    return Running{r["version"].text(), r["upgrade"]["error"].text(), r["pid"].integer(),
                   r["keeper_pid"].integer(), r["upgrade"]["running"].boolean()};
}

std::map<std::string, std::int64_t> daemons(Context& context) {
    std::map<std::string, std::int64_t> pids;
    auto answer = context.client().get("/api/status");
    const auto status = answer ? Json::parse(answer->body) : Json::parse("{}");
    if (!status) return pids;
    const Json services = (*status)["services"];
    for (const auto& key : services.keys())
        if (services[key]["pid"].number()) pids[key] = services[key]["pid"].integer();
    return pids;
}

int wait_until_gone(Context& context, std::int64_t keeper) {
    const InterruptGuard guard;
    std::string last;
    for (;;) {
        auto answer = context.client().get("/api/health/live");
        const bool silent = !answer && nobody_there(answer.error());
        if (silent && process_gone(keeper)) break;
        if (!context.options().leave) show_remaining(context, last);
        sleep_ms(kLastLookMs);
        if (InterruptGuard::interrupted()) {
            context.note("no longer waiting; keepwell goes on ending");
            return kExitInterrupted;
        }
    }
    if (!last.empty()) context.out() << "\r\x1b[K";
    context.out()
        << (context.options().leave
                ? "keepwell has ended; its daemons run on (keepwell run takes them over)\n"
                : "keepwell has stopped\n");
    return kExitOk;
}

int report_upgrade(Context& context, const Running& before, const Running& now,
                   const std::map<std::string, std::int64_t>& pids) {
    if (now.keeper_pid != before.keeper_pid)
        return context.fail(
            "keepwell was started anew by somebody else meanwhile; see keepwell status");
    std::size_t kept = 0;
    for (const auto& [key, pid] : daemons(context)) {
        const auto old = pids.find(key);
        kept += old != pids.end() && old->second == pid ? 1 : 0;
    }
    context.out() << "keepwell " << safe_text(before.version) << " -> " << safe_text(now.version)
                  << ": keeper " << now.keeper_pid << " stays, supervisor " << before.pid << " -> "
                  << now.pid << ", " << kept << " of " << plural(pids.size(), "daemon")
                  << " with the same pid\n";
    return kExitOk;
}

} // namespace

int verb_shutdown(Context& context) {
    const auto before = running(context);
    auto answer =
        context.client().post("/api/shutdown", context.options().leave ? "{\"leave\":true}" : "{}");
    if (!answer) return context.unreachable(answer.error());
    if (answer->status / 100 != 2) return context.refused(*answer);
    if (context.options().no_wait) {
        context.out() << "begun\n";
        return kExitOk;
    }
    return wait_until_gone(context, before ? before->keeper_pid : 0);
}

int verb_upgrade(Context& context) {
    const auto before = running(context);
    const auto pids = daemons(context);
    auto answer = context.client().post("/api/upgrade", "{}");
    if (!answer) return context.unreachable(answer.error());
    if (answer->status / 100 != 2) return context.refused(*answer);
    if (context.options().no_wait || !before) {
        context.out() << "begun\n";
        return kExitOk;
    }
    const InterruptGuard guard;
    int wait = kFirstLookMs;
    for (int waited = 0; waited < kUpgradePatienceMs; waited += wait) {
        sleep_ms(wait);
        wait = std::min(wait * 3 / 2, kLastLookMs);
        if (InterruptGuard::interrupted()) {
            context.note("no longer waiting; the upgrade goes on (keepwell events tells how)");
            return kExitInterrupted;
        }
        const auto now = running(context);
        if (!now) continue; // between the two supervisors
        if (now->pid != before->pid) return report_upgrade(context, *before, *now, pids);
        if (!now->upgrading && !now->error.empty())
            return context.fail(failure_text("cannot upgrade", safe_text(now->error)) +
                                "; everything runs on as it was");
    }
    return context.fail("cannot say how the upgrade ended: the supervisor does not answer; see "
                        "keepwell status and keepwell's own log");
}

} // namespace keepwell::cli
