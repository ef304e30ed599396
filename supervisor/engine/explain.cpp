#include "supervisor/engine/explain.h"

#include "units/machine.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace keepwell {

namespace {

constexpr std::uint32_t kDelaysShown = 12;

std::string number(double value) {
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), value < 99.95 ? "%.1f" : "%.0f", value);
    std::string text = buffer.data();
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
}

using Seconds = std::chrono::duration<double>; // sums of long delays stay clear of overflow

std::string time_text(Seconds d) {
    const double s = d.count();
    if (s < 0.0995) return number(s * 1000) + " ms";
    if (s < 100) return number(s) + " s";
    if (s < 7200) return number(s / 60) + " m";
    return number(s / 3600) + " h";
}

// Whole units of a policy read better than their seconds: "10 m", not "600 s".
std::string period_text(Duration d) {
    const auto s = std::chrono::duration_cast<std::chrono::seconds>(d);
    const bool whole = s == d && s.count() > 0;
    if (whole && s.count() % 3600 == 0) return std::to_string(s.count() / 3600) + " h";
    if (whole && s.count() % 60 == 0 && s.count() > 60)
        return std::to_string(s.count() / 60) + " m";
    return time_text(d);
}

std::string window_text(const UnitSpec& spec) {
    if (!spec.policy.window) return {};
    return " (or " + std::to_string(spec.policy.window->failures) + " of the last " +
           std::to_string(spec.policy.window->of) + ")";
}

// How soon a failure is noticed: at worst it begins just after a run, and every run takes its whole
// time when the daemon hangs. The next run is planned from the end of the one before.
std::string trip_text(const UnitSpec& spec, const CheckSpec& check) {
    const std::uint32_t n = std::max(check.failures, 1U);
    const Duration retry = std::min(check.retry_interval, check.interval);
    const Seconds clean = Seconds(check.interval) + Seconds(retry) * (n - 1);
    const Seconds hang = clean + Seconds(check.timeout) * n;
    std::string text = n == 1 ? "1 failed check" : std::to_string(n) + " failed checks in a row";
    text += window_text(spec) + ", every " + time_text(check.interval);
    if (n > 1 && retry < check.interval) {
        text += " (" + time_text(retry) + " after a first failure)";
    }
    return text + ": within " + time_text(clean) + " of a clean failure, " + time_text(hang) +
           " of a hang";
}

const char* consequence(const UnitSpec& spec, const CheckSpec& check) {
    switch (check.effect) {
    case CheckEffect::Down: break;
    case CheckEffect::Degraded: return "; degrades, never restarts";
    case CheckEffect::Unknown: return "; makes it unknown, never restarts";
    case CheckEffect::None: return "; shown only";
    }
    if (!check.heals) return "; down, but never restarts";
    return spec.kind == UnitKind::External ? "; only told, there is nothing to restart" : "";
}

void add_trips(const UnitSpec& spec, std::vector<PolicyLine>& lines) {
    struct Seen {
        std::string text, ids;
    };
    std::vector<Seen> seen; // checks with the same schedule share a line
    for (const CheckSpec& check : spec.checks) {
        if (!check.enabled) continue;
        const std::string text = trip_text(spec, check) + consequence(spec, check);
        const auto same = std::ranges::find(seen, text, &Seen::text);
        if (same != seen.end())
            same->ids += ", " + check.id;
        else
            seen.push_back({text, check.id});
    }
    for (const auto& s : seen)
        lines.push_back({"trip", seen.size() == 1 ? s.text : s.ids + ": " + s.text});
    if (seen.empty()) {
        const bool external = spec.kind == UnitKind::External;
        lines.push_back({"trip", external ? "no check: nothing is known of it"
                                          : "no check: only when it ends by itself"});
    }
}

void add_grace(const UnitSpec& spec, std::vector<PolicyLine>& lines) {
    Duration grace{};
    for (const CheckSpec& check : spec.checks)
        grace = std::max(grace, check.enabled ? check.grace : Duration{});
    if (grace <= Duration{} || spec.kind == UnitKind::External) return;
    lines.push_back({"grace", "failures in the first " + period_text(grace) +
                                  " after a start do not count, until the first pass"});
}

std::string scope_text(KillScope scope) {
    switch (scope) {
    case KillScope::Tree: return "SIGKILL to the tree";
    case KillScope::Group: return "SIGKILL to the process group";
    case KillScope::Process: return "SIGKILL to the main process";
    case KillScope::Never: return "no SIGKILL: it is only told";
    }
    return {};
}

std::string stop_text(const UnitSpec& spec) {
    const StopPolicy& stop = spec.policy.stop;
    if (spec.kind == UnitKind::Systemd)
        return "stop job of systemd, whose TimeoutStopSec= decides about SIGKILL; down when it "
               "takes "
               "more than " +
               period_text(stop.timeout);
    const std::string first =
        spec.process.stop_command.empty() ? signal_name(stop.signal) : "stop_command";
    return first + ", after " + period_text(stop.timeout) + " " + scope_text(stop.kill);
}

std::string jitter_text(const BackoffPolicy& backoff) {
    if (backoff.jitter <= 0) return {};
    return " (±" + number(backoff.jitter * 100) + " %)";
}

struct Schedule {
    std::string delays;
    Seconds fast{};    // the sum of the delays of the budget
    bool spent = true; // can the budget be spent by delays alone within its time?
};

Schedule schedule_of(const Policy& policy) {
    Schedule out;
    Seconds since_first{};
    for (std::uint32_t n = 1; n <= policy.budget.restarts; ++n) {
        const Seconds delay = backoff_delay(policy.backoff, n, 0.5);
        out.fast += delay;
        if (n > 1) since_first += delay;
        if (n <= kDelaysShown) out.delays += (n == 1 ? "" : ", ") + time_text(delay);
        if (n == kDelaysShown + 1) out.delays += ", …";
        const bool capped = n > 10'000 && delay >= policy.backoff.max;
        if (capped) {
            out.fast += delay * (policy.budget.restarts - n);
            since_first += delay * (policy.budget.restarts - n);
            break;
        }
    }
    out.spent = since_first < policy.budget.within;
    return out;
}

std::string then_text(const Policy& policy) {
    const BudgetPolicy& budget = policy.budget;
    if (budget.then == BudgetThen::Stop)
        return "state failed: no further try until somebody starts it";
    return "cooldown: one try every " + period_text(budget.cooldown) + " until healthy for " +
           period_text(policy.backoff.reset_after);
}

std::string worst_text(const Policy& policy, const Schedule& schedule) {
    const BudgetPolicy& budget = policy.budget;
    if (!schedule.spent) {
        return "the delays alone outlast the " + period_text(budget.within) +
               " of the budget: it goes on at most every " + period_text(policy.backoff.max);
    }
    const std::string fast = "about " + time_text(schedule.fast) + " of fast tries, then ";
    if (budget.then == BudgetThen::Stop) return fast + "it gives up";
    return fast + "at most " + period_text(budget.cooldown) + " between tries; never gives up";
}

void add_restarts(const UnitSpec& spec, std::vector<PolicyLine>& lines) {
    const Policy& policy = spec.policy;
    if (policy.restart == RestartMode::Never) {
        lines.push_back(
            {"restarts", "never (restart = \"never\"): when it ends it is completed or failed"});
        return;
    }
    const Schedule schedule = schedule_of(policy);
    if (policy.budget.restarts == 0) {
        lines.push_back({"restarts", "none without delay (budget.restarts = 0)"});
    } else {
        lines.push_back({"restarts", "after " + schedule.delays + jitter_text(policy.backoff) +
                                         "  = " + std::to_string(policy.budget.restarts) +
                                         " within " + period_text(policy.budget.within)});
    }
    if (policy.restart == RestartMode::OnFailure) {
        lines.push_back(
            {"except", "an exit that counts as success completes it (restart = \"on-failure\")"});
    }
    lines.push_back({"then", then_text(policy)});
    lines.push_back({"worst", worst_text(policy, schedule)});
}

std::string step_text(const LadderStep& step) {
    switch (step.kind) {
    case LadderKind::Restart: return "restart";
    case LadderKind::Reload: return "reload";
    case LadderKind::Exec: return "run " + (step.command.empty() ? "a command" : step.command[0]);
    case LadderKind::RestartOther: return "restart " + step.target;
    case LadderKind::FreePort: return "free the port";
    case LadderKind::ResetFailed: return "reset-failed";
    }
    return {};
}

void add_ladder(const UnitSpec& spec, std::vector<PolicyLine>& lines) {
    const auto& ladder = spec.policy.ladder;
    if (ladder.size() == 1 && ladder[0].kind == LadderKind::Restart) return;
    std::string text;
    for (const auto& step : ladder) text += (text.empty() ? "" : ", then ") + step_text(step);
    lines.push_back({"ladder", text.empty() ? "empty: failing checks heal nothing" : text});
}

void add_conditions(const UnitSpec& spec, std::vector<PolicyLine>& lines) {
    std::string needs;
    for (const auto& key : spec.requires_units) needs += (needs.empty() ? "" : ", ") + key;
    if (!needs.empty()) {
        lines.push_back({"requires", needs +
                                         ": its failures do not count while one of them is down, "
                                         "and it starts only when they are up"});
    }
    if (!spec.heal) lines.push_back({"but", "heal = false: watched and told, never acted upon"});
    if (spec.dry_run) lines.push_back({"but", "dry_run: decided and recorded, never acted upon"});
    if (!spec.enabled) lines.push_back({"but", "enabled = false: not looked after at all"});
}

} // namespace

std::vector<PolicyLine> explain_policy(const UnitSpec& spec) {
    std::vector<PolicyLine> lines;
    add_trips(spec, lines);
    if (spec.kind != UnitKind::External) {
        add_grace(spec, lines);
        if (spec.heal) add_ladder(spec, lines);
        lines.push_back({"stop", stop_text(spec)});
        if (spec.heal) add_restarts(spec, lines);
    }
    add_conditions(spec, lines);
    return lines;
}

std::string policy_title(const UnitSpec& spec) {
    const std::string& name = spec.policy.name;
    std::string from;
    const auto at = spec.where.positions.find("policy");
    if (at != spec.where.positions.end() && at->second.line > 0) {
        from = "chosen at " + at->second.file + ":" + std::to_string(at->second.line);
    }
    if (name != "default") from += std::string(from.empty() ? "" : ", ") + "inherits default";
    return from.empty() ? name : name + " (" + from + ")";
}

} // namespace keepwell
