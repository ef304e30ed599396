#include "supervisor/config/config.h"

#include <unordered_map>

namespace keepwell {
namespace {

// What only a new process can take over.
bool needs_restart(const UnitSpec& running, const UnitSpec& wanted) {
    // Whoever else may have started it: what changed is for its next start.
    if (running.kind == wanted.kind && is_observed(wanted.kind)) return false;
    return running.kind != wanted.kind || running.process != wanted.process ||
           has_notify_socket(running) != has_notify_socket(wanted) ||
           (has_notify_socket(wanted) && heartbeat_within(running) != heartbeat_within(wanted)) ||
           running.log.mode != wanted.log.mode ||
           running.log.separate_stderr != wanted.log.separate_stderr;
}

class Differences {
  public:
    template <class T>
    void compare(const char* key, const T& running, const T& wanted) {
        if (!(running == wanted)) keys.emplace_back(key);
    }
    // What this file has no name for is still named as a change.
    std::vector<std::string> finish() {
        if (keys.empty()) keys.emplace_back("other settings");
        return std::move(keys);
    }
    std::vector<std::string> keys;
};

void compare_process(Differences& d, const ProcessSpec& a, const ProcessSpec& b) {
    d.compare("command", a.command, b.command);
    d.compare("start_command", a.start_command, b.start_command);
    d.compare("stop_command", a.stop_command, b.stop_command);
    d.compare("reload_command", a.reload_command, b.reload_command);
    d.compare("pre_start", a.pre_start, b.pre_start);
    d.compare("directory", a.directory, b.directory);
    d.compare("user", a.user, b.user);
    d.compare("umask", a.umask, b.umask);
    d.compare("nice", a.nice, b.nice);
    d.compare("oom_score_adj", a.oom_score_adj, b.oom_score_adj);
    d.compare("environment", a.environment, b.environment);
    d.compare("limits", a.limits, b.limits);
}

void compare_policy(Differences& d, const Policy& a, const Policy& b) {
    d.compare("policy", a.name, b.name);
    d.compare("restart", a.restart, b.restart);
    d.compare("success_exit_codes", a.success_exit_codes, b.success_exit_codes);
    d.compare("failures", a.failures, b.failures);
    d.compare("successes", a.successes, b.successes);
    d.compare("window", a.window, b.window);
    d.compare("backoff", a.backoff, b.backoff);
    d.compare("budget", a.budget, b.budget);
    d.compare("stop", a.stop, b.stop);
    d.compare("ladder", a.ladder, b.ladder);
}

void compare_checks(Differences& d, const UnitSpec& a, const UnitSpec& b) {
    const auto find = [](const UnitSpec& unit, const std::string& id) -> const CheckSpec* {
        for (const CheckSpec& check : unit.checks) {
            if (check.id == id) return &check;
        }
        return nullptr;
    };
    for (const CheckSpec& check : b.checks) {
        const CheckSpec* before = find(a, check.id);
        if (before == nullptr)
            d.keys.push_back("check." + check.id + " (new)");
        else if (!(*before == check))
            d.keys.push_back("check." + check.id);
    }
    for (const CheckSpec& check : a.checks) {
        if (find(b, check.id) == nullptr) d.keys.push_back("check." + check.id + " (gone)");
    }
}

std::vector<std::string> changed_keys(const UnitSpec& a, const UnitSpec& b) {
    Differences d;
    d.compare("kind", a.kind, b.kind);
    compare_process(d, a.process, b.process);
    d.compare("pidfile", a.pidfile, b.pidfile);
    d.compare("service", a.service, b.service);
    d.compare("systemd", a.systemd, b.systemd);
    d.compare("match", a.match, b.match);
    d.compare("name", a.name, b.name);
    d.compare("description", a.description, b.description);
    d.compare("group", a.group, b.group);
    d.compare("tags", a.tags, b.tags);
    d.compare("critical", a.critical, b.critical);
    d.compare("enabled", a.enabled, b.enabled);
    d.compare("autostart", a.autostart, b.autostart);
    d.compare("dry_run", a.dry_run, b.dry_run);
    d.compare("heal", a.heal, b.heal);
    d.compare("template", a.template_name, b.template_name);
    compare_policy(d, a.policy, b.policy);
    compare_checks(d, a, b);
    d.compare("requires", a.requires_units, b.requires_units);
    d.compare("after", a.after, b.after);
    d.compare("ready", a.ready, b.ready);
    d.compare("ready_timeout", a.ready_timeout, b.ready_timeout);
    d.compare("start_timeout", a.start_timeout, b.start_timeout);
    d.compare("log", a.log, b.log);
    d.compare("log_files", a.log_files, b.log_files);
    return d.finish();
}

std::vector<std::string> changed_keys(const SupervisorSpec& a, const SupervisorSpec& b) {
    Differences d;
    d.compare("status_interval", a.status_interval, b.status_interval);
    d.compare("log_level", a.log_level, b.log_level);
    d.compare("dry_run", a.dry_run, b.dry_run);
    d.compare("max_parallel_starts", a.max_parallel_starts, b.max_parallel_starts);
    d.compare("restarts_per_minute", a.restarts_per_minute, b.restarts_per_minute);
    d.compare("health_threshold", a.health_threshold, b.health_threshold);
    d.compare("redact", a.redact, b.redact);
    d.compare("metrics", a.metrics, b.metrics);
    d.compare("history", a.history, b.history);
    d.compare("api", a.api, b.api);
    return std::move(d.keys);
}

void diff_supervisor(const SupervisorSpec& running, const SupervisorSpec& wanted, ConfigDiff& to) {
    to.supervisor_changed = running != wanted;
    if (running.runtime_dir != wanted.runtime_dir) to.frozen.emplace_back("runtime_dir");
    if (running.state_dir != wanted.state_dir) to.frozen.emplace_back("state_dir");
    if (running.log_dir != wanted.log_dir) to.frozen.emplace_back("log_dir");
    if (running.status_file != wanted.status_file) to.frozen.emplace_back("status_file");
    if (running.listen != wanted.listen) to.frozen.emplace_back("listen");
    if (running.api.tls.has_value() != wanted.api.tls.has_value())
        to.frozen.emplace_back("api.tls");
    auto keys = changed_keys(running, wanted);
    if (to.supervisor_changed && keys.empty() && to.frozen.empty())
        keys.emplace_back("other settings");
    if (!keys.empty()) to.changed.emplace("", std::move(keys));
}

} // namespace

ConfigDiff diff(const Configuration& running, const Configuration& wanted) {
    ConfigDiff result;
    diff_supervisor(running.supervisor, wanted.supervisor, result);
    std::unordered_map<std::string, const UnitSpec*> old;
    for (const UnitSpec& unit : running.units) old.emplace(unit.key, &unit);
    for (const UnitSpec& unit : wanted.units) {
        const auto found = old.find(unit.key);
        if (found == old.end()) {
            result.added.push_back(unit.key);
            continue;
        }
        const UnitSpec& before = *found->second;
        auto& list = needs_restart(before, unit) ? result.restarted
                     : before == unit            ? result.unchanged
                                                 : result.updated;
        list.push_back(unit.key);
        if (before != unit) result.changed.emplace(unit.key, changed_keys(before, unit));
        old.erase(found);
    }
    for (const UnitSpec& unit : running.units) {
        if (old.contains(unit.key)) result.removed.push_back(unit.key);
    }
    return result;
}

} // namespace keepwell
