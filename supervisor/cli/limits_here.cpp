#include "supervisor/cli/limits_here.h"

#include <fmt/format.h>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>
#include <unistd.h>

namespace keepwell::cli {

namespace {

bool has_word(const std::string& list, std::string_view word, char separator) {
    std::istringstream in(list);
    for (std::string one; std::getline(in, one, separator);)
        if (one == word) return true;
    return false;
}

std::string first_line(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

// Our own group below a mount: v2 without a controller's name, v1 with it.
std::string own_group(std::string_view controller) {
    std::ifstream in("/proc/self/cgroup");
    for (std::string line; std::getline(in, line);) {
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string names = line.substr(first + 1, second - first - 1);
        if (controller.empty() ? names.empty() : has_word(names, controller, ','))
            return line.substr(second + 1);
    }
    return "/";
}

bool can_enforce(const std::string& controller) {
    std::ifstream in("/proc/self/mountinfo");
    for (std::string line; std::getline(in, line);) {
        const auto dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        std::istringstream left(line), right(line.substr(dash + 3));
        std::string skip, mount, type, source, options;
        left >> skip >> skip >> skip >> skip >> mount;
        right >> type >> source >> options;
        const bool v1 = type == "cgroup" && has_word(options, controller, ',');
        if (type != "cgroup2" && !v1) continue;
        const std::string group = mount + own_group(v1 ? controller : "");
        const bool there =
            v1 || has_word(first_line(group + "/cgroup.controllers"), controller, ' ');
        if (there && access((group + "/cgroup.procs").c_str(), W_OK) == 0) return true;
    }
    return false;
}

} // namespace

std::vector<std::string> unenforced_limits(const Configuration& config) {
    std::map<std::string, bool> enforced;
    std::vector<std::string> texts;
    for (const UnitSpec& unit : config.units) {
        const LimitSpec& limits = unit.process.limits;
        const std::pair<const char*, bool> asked[] = {{"memory", limits.memory.has_value()},
                                                      {"cpu", limits.cpu.has_value()},
                                                      {"pids", limits.pids.has_value()}};
        for (const auto& [name, wanted] : asked) {
            if (!wanted) continue;
            const auto [it, fresh] = enforced.try_emplace(name, false);
            if (fresh) it->second = can_enforce(name);
            if (it->second) continue;
            const auto at = unit.where.positions.find(std::string("limits.") + name);
            std::string where;
            if (at != unit.where.positions.end())
                where =
                    fmt::format("{}:{}:{}: ", at->second.file, at->second.line, at->second.column);
            texts.push_back(fmt::format("{}unit.{}.limits.{} is not enforced here: no delegated {} "
                                        "controller",
                                        where, unit.key, name, name));
        }
    }
    return texts;
}

} // namespace keepwell::cli
