#include "supervisor/cli/owners_here.h"

#include "watchers/pid_file.h"

#include <fmt/format.h>
#include <unistd.h>

namespace keepwell::cli {
namespace {

std::string owner_text(const UnitSpec& unit) {
    const bool startable = !unit.process.start_command.empty();
    if (!unit.service.empty())
        return fmt::format("unit.{}: started and stopped by jobs of {} of systemd", unit.key,
                           unit.service);
    if (unit.kind != UnitKind::PidFile) return {};
    PidFileQuery query;
    query.path = unit.pidfile;
    query.uid = unit.process.user ? unit.process.user->uid : ::geteuid();
    const MainSight sight = read_pid_file(query);
    if (sight.pid == 0 || sight.owner.empty()) return {};
    return fmt::format("unit.{}: its daemon (pid {}) belongs to {} of systemd, which starts and "
                       "stops it{}",
                       unit.key, sight.pid, sight.owner,
                       startable ? "; start_command is not used as long as it does" : "");
}

} // namespace

std::vector<std::string> services_of_daemons(const Configuration& config) {
    std::vector<std::string> texts;
    for (const UnitSpec& unit : config.units)
        if (std::string text = owner_text(unit); !text.empty()) texts.push_back(std::move(text));
    return texts;
}

} // namespace keepwell::cli
