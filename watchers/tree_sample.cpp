#include "watchers/tree_sample.h"

#include "watchers/proc_file.h"

#include <algorithm>

namespace keepwell {

std::vector<std::int64_t> tree_pids(const Procfs& proc, const TreeRef& tree, std::size_t limit) {
    if (tree.pid == 0) return {};
    if (tree.cgroup.empty()) return proc.tree(tree.pid, limit);
    const auto text = read_proc_file(tree.cgroup + "/cgroup.procs", 64U << 10);
    if (!text) return proc.tree(tree.pid, limit);
    std::vector<std::int64_t> pids;
    std::string_view rest = *text;
    while (pids.size() < limit) {
        const auto pid = to_number<std::int64_t>(take_word(rest));
        if (!pid) break;
        pids.push_back(*pid);
    }
    if (const auto main = std::ranges::find(pids, tree.pid); main != pids.end())
        std::rotate(pids.begin(), main, main + 1);
    return pids;
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
        if (!s) continue;
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
