#include "supervisor/app/metrics.h"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::uint64_t kIntervalMs = 10'000;
constexpr std::size_t kMaxPids = 64; // as status.json shows at most

} // namespace

struct Metrics::Job {
    struct Unit {
        UnitIndex index = 0;
        std::string key;
        TreeRef tree;
        ProcessFigures figures;
        TreeSample sample;
    };
    std::vector<Unit> units;
    HostMetrics host;
    Instant at;

    void sample(HostSampler& sampler, const Job* before);
    static void sample_unit(const Procfs&, Unit&, const Unit* before, Instant now,
                            std::uint64_t memory_total);
};

void Metrics::Job::sample_unit(const Procfs& proc, Unit& u, const Unit* before, Instant now,
                               std::uint64_t memory_total) {
    u.sample = sample_tree(proc, u.tree, now, before != nullptr ? &before->sample : nullptr);
    if (u.sample.pids.empty()) return;
    u.figures.pids = u.sample.pids;
    u.figures.pids.resize(std::min(u.figures.pids.size(), kMaxPids));
    u.figures.memory_bytes = u.sample.memory;
    u.figures.threads = u.sample.threads;
    u.figures.open_fds = u.sample.fds;
    u.figures.cpu_percent = u.sample.cpu;
    if (memory_total > 0)
        u.figures.memory_percent =
            100.0 * static_cast<double>(u.sample.memory) / static_cast<double>(memory_total);
}

void Metrics::Job::sample(HostSampler& sampler, const Job* before) {
    host = sampler.sample();
    const Procfs proc;
    std::unordered_map<std::string, const Unit*> old;
    if (before)
        for (const Unit& u : before->units) old.emplace(u.key, &u);
    for (Unit& u : units) {
        const auto it = old.find(u.key);
        sample_unit(proc, u, it == old.end() ? nullptr : it->second, at, host.memory_total);
    }
}

Metrics::Metrics(uv::Loop& loop, Fleet& fleet)
    : loop_(loop),
      fleet_(fleet),
      sampler_(std::make_shared<HostSampler>()),
      timer_(loop, [this] { begin(); }) {
    host_ = sampler_->sample();
}

void Metrics::start() { timer_.start(1000, kIntervalMs); }

void Metrics::begin() {
    if (work_) return;
    auto job = std::make_shared<Job>();
    job->at = uv::MonotonicClock().now();
    for (const UnitIndex i : fleet_.engine().all()) {
        const UnitRecord& r = fleet_.engine().record(i);
        if (r.main_alive)
            job->units.push_back({i, fleet_.engine().key_of(i), fleet_.tree(i), {}, {}});
    }
    work_ = uv::run_in_pool(
        loop_,
        [job, before = previous_, sampler = sampler_] { job->sample(*sampler, before.get()); },
        [this, job] {
            work_.reset();
            take(*job);
            previous_ = job;
        });
}

void Metrics::take(const Job& job) {
    host_ = job.host;
    for (const auto& u : job.units) fleet_.set_figures(u.index, u.key, u.figures);
}

} // namespace keepwell
