#include "supervisor/keeper/survivors.h"

#include "supervisor/keeper/link.h"
#include "supervisor/keeper/proc.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <unordered_map>
#include <unordered_set>

namespace keepwell {

namespace {

struct Search { // for survivors without a cgroup: descendants, and the mark
    std::unordered_map<pid_t, pid_t> parents;
    std::unordered_set<pid_t> found;
    std::string mark;
    std::int64_t main = 0;
    std::string fleet;
};

void visit_process(void* context, pid_t pid) {
    auto& s = *static_cast<Search*>(context);
    proc::Stat stat;
    proc::Mark mark;
    if (!proc::read_stat(pid, stat)) return;
    s.parents[pid] = stat.ppid;
    const auto marked = [&] {
        return proc::read_mark(pid, mark) && s.mark == mark.unit &&
               (mark.fleet[0] == '\0' || s.fleet == mark.fleet);
    };
    if (pid == s.main || stat.session == s.main || marked()) s.found.insert(pid);
}

} // namespace

std::vector<pid_t> leaf_tree(const std::string& path) {
    std::vector<pid_t> pids;
    const UniqueFd dir(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const auto add = [](void* to, pid_t pid) {
        static_cast<std::vector<pid_t>*>(to)->push_back(pid);
    };
    if (dir) proc::each_in_cgroup(dir.get(), add, &pids);
    return pids;
}

std::vector<pid_t> marked_tree(const std::string& unit, const std::string& fleet,
                               std::int64_t main) {
    std::vector<pid_t> pids;
    Search s;
    s.mark = unit;
    s.fleet = fleet;
    s.main = main;
    proc::each_process(visit_process, &s);
    for (const auto& [pid, first] : s.parents) {
        pid_t at = pid;
        for (int depth = 0; at > 1 && depth < 64 && !s.found.contains(at); ++depth) {
            const auto parent = s.parents.find(at);
            at = parent == s.parents.end() ? 0 : parent->second;
        }
        if (s.found.contains(at)) pids.push_back(pid);
    }
    std::sort(pids.begin(), pids.end());
    return pids;
}

} // namespace keepwell
