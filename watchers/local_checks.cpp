// The checks that read /proc: process, port, resource.
#include "watchers/local_checks.h"

#include "units/reason.h"
#include "watchers/port_holder.h"
#include "watchers/text.h"

#include <algorithm>
#include <cmath>

namespace keepwell {

namespace {

bool any_matches(const ProcessEntry& p, const std::vector<std::string>& patterns) {
    return std::ranges::any_of(patterns, [&](const auto& pattern) { return matches(p, pattern); });
}

std::string wanted_text(const std::vector<std::string>& patterns) {
    std::string text;
    for (const auto& pattern : patterns)
        text += (text.empty() ? "\"" : " or \"") + clean_text(pattern, 60) + '"';
    return text;
}

Observation outcome(CheckOutcome how, std::string text) {
    Observation seen;
    seen.outcome = how;
    seen.output = std::move(text);
    return seen;
}

std::string held_by(const PortHolder& holder) {
    return "port " + std::to_string(holder.port) + " is held by " + clean_text(holder.name, 40) +
           " (" + std::to_string(holder.pid) + ")";
}

std::string count_text(std::uint64_t n, const char* one, const char* many) {
    return std::to_string(n) + ' ' + (n == 1 ? one : many);
}

std::string percent(double value) {
    const auto tenths = static_cast<std::int64_t>(std::lround(value * 10));
    return std::to_string(tenths / 10) +
           (tenths % 10 != 0 ? '.' + std::to_string(tenths % 10) : std::string()) + " %";
}

struct Limit { // one figure against its limit; texts are made only when it is over
    bool over = false;
    std::string text;
};

template <class T>
Limit judge(const char* what, std::optional<T> value, std::optional<T> limit,
            std::string (*show)(T)) {
    Limit l;
    l.over = value && limit && *value > *limit;
    if (l.over) l.text = std::string(what) + ' ' + show(*value) + " > " + show(*limit);
    return l;
}

std::string plain(std::uint64_t n) { return std::to_string(n); }

std::string summary(const TreeSample& s) {
    std::string text = s.cpu ? "cpu " + percent(*s.cpu) + ", " : "";
    text += "memory " + human_size(s.memory) + ", ";
    if (s.fds) text += count_text(*s.fds, "descriptor", "descriptors") + ", ";
    return text + count_text(s.threads, "thread", "threads") + ", " +
           count_text(s.pids.size() - 1, "child", "children");
}

} // namespace

Observation look_at_processes(const ProcessCheckSpec& spec, const ProcessTable::Entries& entries) {
    std::uint32_t count = 0;
    for (const ProcessEntry& p : *entries)
        if (any_matches(p, spec.match) && !any_matches(p, spec.exclude)) ++count;
    const std::string found = count == 0 ? "no process matches " + wanted_text(spec.match)
                                         : count_text(count, "process matches", "processes match");
    if (count < spec.min)
        return outcome(CheckOutcome::Fail,
                       count == 0 && spec.min == 1
                           ? found
                           : found + ", at least " + std::to_string(spec.min) + " wanted");
    if (spec.max && count > *spec.max)
        return outcome(CheckOutcome::Fail,
                       found + ", at most " + std::to_string(*spec.max) + " wanted");
    return outcome(CheckOutcome::Pass, found);
}

Observation look_at_port(const PortCheckSpec& spec, const TreeRef& tree, const std::string& proc) {
    const std::string name = "port " + std::to_string(spec.port);
    const auto sockets = listening_sockets(spec.port, proc);
    if (spec.expect == PortExpect::Free) {
        if (sockets.empty()) return outcome(CheckOutcome::Pass, name + " is free");
        const auto holder = find_port_holder(spec.port, proc);
        return outcome(CheckOutcome::Fail, holder ? held_by(*holder) : name + " is taken");
    }
    if (sockets.empty()) return outcome(CheckOutcome::Fail, "nobody listens on " + name);
    if (!spec.own) return outcome(CheckOutcome::Pass, name + " is bound");
    if (holder_among(sockets, spec.port, tree_pids(Procfs(proc), tree), proc))
        return outcome(CheckOutcome::Pass, name + " is bound by this unit");
    if (const auto holder = find_port_holder(spec.port, proc))
        return outcome(CheckOutcome::Fail, held_by(*holder));
    // Nobody may look at the descriptors of other users' processes but root.
    return outcome(CheckOutcome::Warn, name + " is held by a process that cannot be seen (run "
                                              "keepwell as root)");
}

Observation look_at_resources(const ResourceCheckSpec& spec, const TreeRef& tree,
                              ResourceMemory& memory, Instant now, const std::string& proc) {
    const TreeSample* before = memory.before ? &*memory.before : nullptr;
    TreeSample s = sample_tree(Procfs(proc), tree, now, before);
    if (s.pids.empty()) {
        memory = {};
        return outcome(CheckOutcome::Fail, "no process to look at");
    }
    using Count = std::optional<std::uint64_t>;
    const std::array limits = {
        judge<double>("cpu", s.cpu, spec.cpu, &percent),
        judge<std::uint64_t>("memory", s.memory, spec.memory, &human_size),
        judge<std::uint64_t>("descriptors", s.fds, spec.fds, &plain),
        judge<std::uint64_t>("threads", s.threads, spec.threads, &plain),
        judge<std::uint64_t>("children", Count(s.pids.size() - 1), spec.children, &plain)};
    std::string bad, soon;
    for (std::size_t i = 0; i < limits.size(); ++i) {
        auto& since = memory.over_since[i];
        if (!limits[i].over) {
            since.reset();
            continue;
        }
        if (!since) since = now;
        std::string& to = now - *since >= spec.hold ? bad : soon;
        to += (to.empty() ? "" : ", ") + limits[i].text;
        if (spec.hold > Duration{}) to += " for " + short_duration(now - *since);
    }
    std::string text = !bad.empty() ? bad : !soon.empty() ? soon : summary(s);
    const bool fds_hidden = spec.fds && !s.fds;
    memory.before = std::move(s);
    if (!bad.empty()) return outcome(CheckOutcome::Fail, std::move(text));
    if (fds_hidden)
        return outcome(CheckOutcome::Warn,
                       "descriptors cannot be counted (run keepwell as root, or remove fds)");
    return outcome(CheckOutcome::Pass, std::move(text));
}

} // namespace keepwell
