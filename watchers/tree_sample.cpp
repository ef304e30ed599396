#include "watchers/tree_sample.h"

#include "watchers/proc_file.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>

namespace keepwell {

namespace {

constexpr int kCgroupsDeep = 16;

bool add_cgroup(const std::string& folder, std::size_t limit, int depth,
                std::vector<std::int64_t>& to) {
    const auto text = read_proc_file(folder + "/cgroup.procs", 1U << 20);
    if (!text) return false;
    std::string_view rest = *text;
    while (to.size() < limit) {
        const auto pid = to_number<std::int64_t>(take_word(rest));
        if (!pid) break;
        to.push_back(*pid);
    }
    struct stat self {};
    // A folder has a link for each folder in it: most cgroups need not be listed.
    if (depth == 0 || stat(folder.c_str(), &self) != 0 || self.st_nlink == 2) return true;
    DIR* dir = opendir(folder.c_str());
    if (dir == nullptr) return true;
    while (const dirent* entry = readdir(dir)) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            (void)add_cgroup(folder + '/' + entry->d_name, limit, depth - 1, to);
    }
    closedir(dir);
    return true;
}

} // namespace

std::optional<std::vector<std::int64_t>> cgroup_pids(const std::string& folder, std::size_t limit) {
    std::vector<std::int64_t> pids;
    if (!add_cgroup(folder, limit, kCgroupsDeep, pids)) return std::nullopt;
    return pids;
}

std::vector<std::int64_t> tree_pids(const Procfs& proc, const TreeRef& tree, std::size_t limit) {
    if (tree.pid == 0) return {};
    if (tree.cgroup.empty()) return proc.tree(tree.pid, limit);
    auto pids = cgroup_pids(tree.cgroup, limit);
    if (!pids) return proc.tree(tree.pid, limit);
    if (const auto main = std::ranges::find(*pids, tree.pid); main != pids->end())
        std::rotate(pids->begin(), main, main + 1);
    return *std::move(pids);
}

TreeSample sample_tree(const Procfs& proc, const TreeRef& tree, Instant now,
                       const TreeSample* before) {
    TreeSample sum;
    sum.at = now;
    std::uint64_t fds = 0;
    bool fds_known = true;
    const double seconds =
        before != nullptr ? std::chrono::duration<double>(now - before->at).count() : 0;
    for (const std::int64_t pid : tree_pids(proc, tree)) {
        const auto s = proc.sample_process(pid, true);
        if (!s || s->state == 'Z') continue; // ended: it holds nothing, and its files are hidden
        sum.pids.push_back(pid);
        sum.memory += s->rss_bytes;
        sum.threads += s->threads;
        fds += s->open_fds.value_or(0);
        fds_known = fds_known && s->open_fds;
        if (before != nullptr)
            if (const auto old = before->processes.find(pid); old != before->processes.end())
                sum.cpu = sum.cpu.value_or(0) + cpu_percent(old->second, *s, seconds);
        sum.processes.emplace(pid, *s);
    }
    if (fds_known) sum.fds = fds;
    return sum;
}

} // namespace keepwell
