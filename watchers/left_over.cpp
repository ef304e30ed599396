#include "watchers/left_over.h"

#include "watchers/proc_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>

namespace keepwell {

namespace {

constexpr std::size_t kEnvironment = 4U << 20;

std::optional<std::string> variable(std::string_view environment, std::string_view name) {
    while (!environment.empty()) {
        const std::string_view one = environment.substr(0, environment.find('\0'));
        environment.remove_prefix(std::min(one.size() + 1, environment.size()));
        if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
            return std::string(one.substr(name.size() + 1));
    }
    return std::nullopt;
}

bool is_ours(const LeftOverQuery& q, const std::string& folder) {
    struct stat info {};
    if (stat(folder.c_str(), &info) != 0 || info.st_uid != q.uid) return false;
    const auto environment = read_proc_file(folder + "/environ", kEnvironment);
    if (!environment || variable(*environment, "KEEPWELL_TASK")) return false;
    return variable(*environment, "KEEPWELL_UNIT") == q.unit &&
           variable(*environment, "KEEPWELL_FLEET") == q.fleet;
}

} // namespace

std::optional<LeftOver> find_left_over(const LeftOverQuery& q, const std::string& proc) {
    const Procfs procfs(proc);
    const std::vector<std::int64_t> present = tree_pids(procfs, q.tree);
    const auto main = q.tree.pid != 0 ? procfs.stat(q.tree.pid) : std::nullopt;
    for (const std::uint16_t port : q.ports) {
        const auto sockets = listening_sockets(port, proc);
        // Of a socket that is shared with the present tree nobody is in the way.
        if (sockets.empty() || holder_among(sockets, port, present, proc)) continue;
        const auto holder = find_port_holder(port, proc);
        const auto stat = holder ? procfs.stat(holder->pid) : std::nullopt;
        if (!stat) continue;
        const bool earlier = stat->start_ticks < (main ? main->start_ticks : q.asked_ticks);
        const bool ours = earlier && is_ours(q, proc + '/' + std::to_string(holder->pid));
        return LeftOver{*holder, stat->start_ticks, ours};
    }
    return std::nullopt;
}

} // namespace keepwell
