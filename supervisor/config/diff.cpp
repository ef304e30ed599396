#include "supervisor/config/config.h"

#include <unordered_map>

namespace keepwell {
namespace {

// What only a new process can take over.
bool needs_restart(const UnitSpec& running, const UnitSpec& wanted) {
    return running.kind != wanted.kind || running.process != wanted.process ||
           has_notify_socket(running) != has_notify_socket(wanted) ||
           heartbeat_within(running) != heartbeat_within(wanted) ||
           running.log.mode != wanted.log.mode ||
           running.log.separate_stderr != wanted.log.separate_stderr;
}

void diff_supervisor(const SupervisorSpec& running, const SupervisorSpec& wanted, ConfigDiff& to) {
    to.supervisor_changed = running != wanted;
    if (running.runtime_dir != wanted.runtime_dir) to.frozen.emplace_back("runtime_dir");
    if (running.state_dir != wanted.state_dir) to.frozen.emplace_back("state_dir");
    if (running.log_dir != wanted.log_dir) to.frozen.emplace_back("log_dir");
    if (running.status_file != wanted.status_file) to.frozen.emplace_back("status_file");
    if (running.listen != wanted.listen) to.frozen.emplace_back("listen");
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
        old.erase(found);
    }
    for (const UnitSpec& unit : running.units) {
        if (old.contains(unit.key)) result.removed.push_back(unit.key);
    }
    return result;
}

} // namespace keepwell
