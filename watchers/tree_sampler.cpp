#include "watchers/tree_sampler.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>
#include <utility>

namespace keepwell {

namespace {

constexpr std::size_t kMaxTree = 4096;
constexpr std::uint64_t kFdRounds = 6;
// Following the children of a process costs about as much as reading this many processes.
constexpr std::size_t kFollowCost = 3;

void add_ticks(TreeFigures& sum, const ProcessSample& now, const ProcessSample& before) {
    const auto total = now.cpu_ticks - std::min(before.cpu_ticks, now.cpu_ticks);
    const auto system = now.system_ticks - std::min(before.system_ticks, now.system_ticks);
    sum.system_ticks += system;
    sum.user_ticks += total - std::min(system, total);
}

} // namespace

TreeSampler::TreeSampler(std::string proc) : proc_(std::move(proc)) {}

const ProcessSample* TreeSampler::look(std::int64_t pid) {
    const auto [it, fresh] = now_.try_emplace(pid);
    if (fresh) {
        ++reads_;
        it->second = proc_.sample_process(pid);
    }
    return it->second ? &*it->second : nullptr;
}

void TreeSampler::decide_scan(std::span<const TreeRef> trees) {
    scan_ = false;
    by_parent_.clear();
    const auto by_ancestry = [](const TreeRef& t) { return t.cgroup.empty() && t.pid != 0; };
    const auto first = std::ranges::find_if(trees, by_ancestry);
    if (first == trees.end()) return;
    const auto units = static_cast<std::size_t>(std::ranges::count_if(trees, by_ancestry));
    const auto all = proc_.all();
    scan_ =
        all.size() <= kFollowCost * std::max(units, followed_) || !proc_.lists_children(first->pid);
    if (!scan_) return;
    now_.reserve(all.size());
    for (const std::int64_t pid : all)
        if (const ProcessSample* p = look(pid)) by_parent_.emplace_back(p->parent, pid);
    std::ranges::sort(by_parent_);
}

void TreeSampler::children_of(std::int64_t pid, std::vector<std::int64_t>& to) const {
    if (!scan_) return proc_.children(pid, to);
    auto it = std::ranges::lower_bound(by_parent_, std::pair(pid, std::int64_t{0}));
    for (; it != by_parent_.end() && it->first == pid; ++it) to.push_back(it->second);
}

std::vector<std::int64_t> TreeSampler::descendants(std::int64_t pid) {
    if (look(pid) == nullptr) return {};
    std::vector<std::int64_t> found = {pid};
    std::vector<std::int64_t> next;
    std::unordered_set<std::int64_t> seen;
    for (std::size_t i = 0; i < found.size() && found.size() < kMaxTree; ++i) {
        next.clear();
        children_of(found[i], next);
        if (next.empty()) continue; // most units are one process
        seen.insert(found.begin(), found.end());
        for (const std::int64_t child : next)
            if (found.size() < kMaxTree && seen.insert(child).second) found.push_back(child);
    }
    followed_ += found.size();
    return found;
}

std::vector<std::int64_t> TreeSampler::pids_of(const TreeRef& tree) {
    if (!tree.cgroup.empty()) {
        if (auto pids = cgroup_pids(tree.cgroup, kMaxTree)) {
            if (const auto main = std::ranges::find(*pids, tree.pid); main != pids->end())
                std::rotate(pids->begin(), main, main + 1);
            if (!pids->empty()) return *std::move(pids);
        }
    }
    return tree.pid != 0 ? descendants(tree.pid) : std::vector<std::int64_t>{};
}

std::optional<std::uint64_t> TreeSampler::fds_of(std::int64_t pid, const ProcessSample& p) {
    if (!list_fds_) {
        const auto old = before_.find(pid);
        if (old != before_.end() && old->second && old->second->start_ticks == p.start_ticks)
            return old->second->open_fds;
    }
    return proc_.count_fds(pid);
}

TreeFigures TreeSampler::figures_of(const TreeRef& tree) {
    TreeFigures sum;
    bool fds_known = true, had_before = false;
    std::uint64_t fds = 0;
    double cpu = 0, fresh = 0;
    for (const std::int64_t pid : pids_of(tree)) {
        const ProcessSample* p = look(pid);
        if (p == nullptr || p->state == 'Z') continue; // ended: it holds nothing
        ++sum.count;
        if (sum.pids.size() < kMaxPids) sum.pids.push_back(pid);
        sum.memory += p->rss_bytes;
        sum.threads += p->threads;
        auto& kept = *now_.at(pid);
        if (!kept.open_fds) kept.open_fds = fds_of(pid, kept);
        fds_known = fds_known && kept.open_fds;
        fds += kept.open_fds.value_or(0);
        const auto old = before_.find(pid);
        if (old != before_.end() && old->second && old->second->start_ticks == p->start_ticks) {
            had_before = true;
            cpu += cpu_percent(*old->second, *p, seconds_);
            add_ticks(sum, *p, *old->second);
        } else if (p->start_ticks > newest_before_) {
            ProcessSample unborn = *p;
            unborn.cpu_ticks = 0;
            fresh += cpu_percent(unborn, *p, seconds_);
            if (seconds_ > 0) add_ticks(sum, *p, {}); // else: of before the first sample
        }
    }
    if (fds_known && sum.count > 0) sum.fds = fds;
    if (had_before && seconds_ > 0) sum.cpu = cpu + fresh;
    return sum;
}

std::vector<TreeFigures> TreeSampler::sample(std::span<const TreeRef> trees, Instant now) {
    before_ = std::exchange(now_, {});
    newest_before_ = 0;
    for (const auto& [pid, p] : before_)
        if (p) newest_before_ = std::max(newest_before_, p->start_ticks);
    seconds_ = at_ ? std::chrono::duration<double>(now - *at_).count() : 0;
    at_ = now;
    list_fds_ = proc_.fds_are_cheap() || round_++ % kFdRounds == 0;
    decide_scan(trees);
    followed_ = 0;
    std::vector<TreeFigures> figures;
    figures.reserve(trees.size());
    for (const TreeRef& tree : trees) figures.push_back(figures_of(tree));
    before_ = {}; // only what the next sample compares with is kept
    by_parent_ = {};
    return figures;
}

} // namespace keepwell
