#include "supervisor/config/policy_reader.h"

#include "supervisor/config/values.h"

#include <algorithm>
#include <string_view>

namespace keepwell::config {
namespace {

constexpr std::string_view kPolicyKeys[] = {
    "restart", "success_exit_codes", "failures", "successes", "window", "backoff", "budget", "stop",
    "ladder"};
constexpr std::int64_t kMostTimes = 1'000'000;

void read_exit_codes(Reader& reader, std::vector<int>& to) {
    const Node* found = reader.take("success_exit_codes");
    if (found == nullptr) return;
    if (found->kind != NodeKind::Array) {
        reader.error(*found, wrong_kind(*found, "an array", "[0, 143]"));
        return;
    }
    std::vector<int> codes;
    for (const Node& item : found->items) {
        if (item.kind != NodeKind::Integer) {
            reader.error(item, wrong_kind(item, "an integer"));
        } else if (item.integer < 0 || item.integer > 255) {
            reader.error(item, std::to_string(item.integer) + " is not between 0 and 255");
        } else {
            codes.push_back(static_cast<int>(item.integer));
        }
    }
    to = std::move(codes);
}

void read_window(Reader& reader, std::optional<WindowPolicy>& to) {
    const Node* found = reader.table("window");
    if (found == nullptr) return;
    Reader window(*found, reader.messages());
    WindowPolicy policy;
    const bool both =
        window.integer("failures", policy.failures, 1, 64) & window.integer("of", policy.of, 1, 64);
    window.finish();
    if (found->find("failures") == nullptr || found->find("of") == nullptr) {
        window.missing("needs both failures and of (like { failures = 5, of = 10 })");
        return;
    }
    if (!both) return;
    if (policy.failures > policy.of) {
        window.error(*found, std::to_string(policy.failures) + " failures cannot be among " +
                                 std::to_string(policy.of) + " results (raise of)");
        return;
    }
    to = policy;
}

void read_backoff(Reader& reader, BackoffPolicy& to) {
    const Node* found = reader.table("backoff");
    if (found == nullptr) return;
    Reader backoff(*found, reader.messages());
    const bool initial = backoff.duration("initial", to.initial, 0ms);
    const bool max = backoff.duration("max", to.max, 0ms);
    backoff.number("factor", to.factor, 1.0, 100.0);
    backoff.number("jitter", to.jitter, 0.0, 1.0);
    backoff.duration("reset_after", to.reset_after);
    if (to.max < to.initial && (initial || max)) {
        backoff.error(*found->find(max ? "max" : "initial"),
                      "backoff.max is shorter than backoff.initial (raise max)");
    }
    backoff.finish();
}

void read_budget(Reader& reader, BudgetPolicy& to) {
    const Node* found = reader.table("budget");
    if (found == nullptr) return;
    Reader budget(*found, reader.messages());
    budget.integer("restarts", to.restarts, 0, 10'000'000);
    budget.duration("within", to.within, 1ms);
    budget.one_of<BudgetThen>(
        "then", {{"cooldown", BudgetThen::Cooldown}, {"stop", BudgetThen::Stop}}, to.then);
    budget.duration("cooldown", to.cooldown, 1ms);
    budget.finish();
}

void read_signal(Reader& reader, int& to) {
    const Node* found = reader.take("signal");
    if (found == nullptr) return;
    std::optional<int> signal;
    if (found->is_string()) signal = parse_signal(found->text);
    if (found->kind == NodeKind::Integer) signal = parse_signal(std::to_string(found->integer));
    if (!signal) {
        const std::string word =
            found->kind == NodeKind::Integer ? std::to_string(found->integer) : quote(found->text);
        reader.error(*found, word + " is not a signal (like \"TERM\" or \"INT\")");
        return;
    }
    to = *signal;
}

void read_stop(Reader& reader, StopPolicy& to) {
    const Node* found = reader.table("stop");
    if (found == nullptr) return;
    Reader stop(*found, reader.messages());
    read_signal(stop, to.signal);
    stop.duration("timeout", to.timeout);
    stop.one_of<KillScope>("kill",
                           {{"tree", KillScope::Tree},
                            {"group", KillScope::Group},
                            {"process", KillScope::Process},
                            {"never", KillScope::Never}},
                           to.kill);
    stop.finish();
}

constexpr std::string_view kStepHelp = " (a step is \"restart\", \"reload\", \"free-port\", "
                                       "\"reset-failed\", { exec = [\"program\"] } or "
                                       "{ restart = \"unit\" })";

struct StepName {
    std::string_view word;
    LadderKind kind;
};
constexpr StepName kStepNames[] = {{"restart", LadderKind::Restart},
                                   {"reload", LadderKind::Reload},
                                   {"free-port", LadderKind::FreePort},
                                   {"reset-failed", LadderKind::ResetFailed}};

// False when the step is unknown, which is reported.
bool read_step_word(Reader& reader, const Node& at, std::string_view word, LadderStep& step) {
    const auto* it = std::ranges::find(kStepNames, word, &StepName::word);
    if (it == std::end(kStepNames)) {
        reader.error(at, quote(word) + " is not a step" + std::string(kStepHelp));
        return false;
    }
    step.kind = it->kind;
    return true;
}

bool read_step_table(Reader& reader, const Node& item, LadderStep& step) {
    Reader fields(item, reader.messages());
    fields.duration("timeout", step.timeout, 1ms);
    fields.duration("cooldown", step.cooldown);
    int kinds = 0;
    bool usable = true;
    if (item.find("exec") != nullptr) {
        ++kinds;
        step.kind = LadderKind::Exec;
        usable = fields.argv("exec", step.command);
    }
    for (const StepName& name : kStepNames) {
        const Node* value = fields.take(name.word);
        if (value == nullptr) continue;
        ++kinds;
        if (name.kind == LadderKind::Restart && value->is_string()) {
            step.kind = LadderKind::RestartOther;
            step.target = value->text;
        } else if (value->kind == NodeKind::Boolean && value->boolean) {
            usable = read_step_word(reader, *value, name.word, step);
        } else {
            reader.error(*value, wrong_kind(*value, "true"));
            usable = false;
        }
    }
    static_cast<void>(fields.take("exec"));
    const std::size_t unknown = fields.finish();
    if (kinds != 1 && unknown == 0) {
        reader.error(item, "says " + std::string(kinds == 0 ? "nothing to do" : "several things") +
                               std::string(kStepHelp));
    }
    return usable && kinds == 1;
}

void read_ladder(Reader& reader, std::vector<LadderStep>& to) {
    const Node* found = reader.take("ladder");
    if (found == nullptr) return;
    if (found->kind != NodeKind::Array) {
        reader.error(*found, wrong_kind(*found, "an array", "[\"restart\"]"));
        return;
    }
    std::vector<LadderStep> steps;
    for (const Node& item : found->items) {
        LadderStep step;
        bool usable = false;
        if (item.is_string()) {
            usable = read_step_word(reader, item, item.text, step);
        } else if (item.is_table()) {
            usable = read_step_table(reader, item, step);
        } else {
            reader.error(item, wrong_kind(item, "a string or a table") + std::string(kStepHelp));
        }
        if (usable) steps.push_back(std::move(step));
    }
    if (found->items.empty()) {
        reader.error(*found, "no steps means no healing (say heal = false for that)");
    }
    if (!steps.empty()) to = std::move(steps);
}

} // namespace

Policy read_policy(Reader& reader) {
    Policy policy;
    reader.one_of<RestartMode>("restart",
                               {{"always", RestartMode::Always},
                                {"on-failure", RestartMode::OnFailure},
                                {"never", RestartMode::Never}},
                               policy.restart);
    read_exit_codes(reader, policy.success_exit_codes);
    reader.integer("failures", policy.failures, 1, kMostTimes);
    reader.integer("successes", policy.successes, 1, kMostTimes);
    read_window(reader, policy.window);
    read_backoff(reader, policy.backoff);
    read_budget(reader, policy.budget);
    read_stop(reader, policy.stop);
    read_ladder(reader, policy.ladder);
    return policy;
}

void note_policy_keys(Reader& unit) {
    for (const std::string_view key : kPolicyKeys) static_cast<void>(unit.take(key));
}

Node policy_keys_of(const Node& unit) {
    Node keys;
    keys.path = unit.path;
    keys.where = unit.where;
    keys.key_where = unit.key_where;
    for (const Node& item : unit.items) {
        if (std::ranges::find(kPolicyKeys, item.key) != std::end(kPolicyKeys)) {
            keys.items.push_back(item);
        }
    }
    return keys;
}

} // namespace keepwell::config
