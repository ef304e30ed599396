#include "supervisor/app/metrics.h"

namespace keepwell {

namespace {

constexpr std::uint64_t kIntervalMs = 10'000;
constexpr std::size_t kMaxPids = 64; // as status.json shows at most

} // namespace

struct Metrics::Job {
    struct Unit {
        UnitIndex index = 0;
        std::string key;
        std::int64_t pid = 0;
        ProcessFigures figures;
        std::unordered_map<std::int64_t, ProcessSample> processes;
    };
    std::vector<Unit> units;
    HostMetrics host;
    Instant at;

    void sample(HostSampler& sampler, const Job* before);
    static void sample_unit(const Procfs&, Unit&, const Unit* before, double seconds,
                            std::uint64_t memory_total);
};

void Metrics::Job::sample_unit(const Procfs& proc, Unit& u, const Unit* before, double seconds,
                               std::uint64_t memory_total) {
    std::uint64_t rss = 0, threads = 0, fds = 0;
    double cpu = 0;
    bool cpu_known = false, fds_known = true;
    for (const std::int64_t pid : proc.tree(u.pid, kMaxPids)) {
        const auto s = proc.sample_process(pid, true);
        if (!s) continue;
        u.figures.pids.push_back(pid);
        rss += s->rss_bytes;
        threads += s->threads;
        fds += s->open_fds.value_or(0);
        fds_known = fds_known && s->open_fds;
        if (before)
            if (const auto old = before->processes.find(pid); old != before->processes.end()) {
                cpu += keepwell::cpu_percent(old->second, *s, seconds);
                cpu_known = true;
            }
        u.processes.emplace(pid, *s);
    }
    if (u.figures.pids.empty()) return;
    u.figures.memory_bytes = rss;
    u.figures.threads = threads;
    if (fds_known) u.figures.open_fds = fds;
    if (cpu_known) u.figures.cpu_percent = cpu;
    if (memory_total > 0)
        u.figures.memory_percent =
            100.0 * static_cast<double>(rss) / static_cast<double>(memory_total);
}

void Metrics::Job::sample(HostSampler& sampler, const Job* before) {
    host = sampler.sample();
    const Procfs proc;
    const double seconds = before ? std::chrono::duration<double>(at - before->at).count() : 0;
    std::unordered_map<std::string, const Unit*> old;
    if (before)
        for (const Unit& u : before->units) old.emplace(u.key, &u);
    for (Unit& u : units) {
        const auto it = old.find(u.key);
        sample_unit(proc, u, it == old.end() ? nullptr : it->second, seconds, host.memory_total);
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
        if (r.main_alive) job->units.push_back({i, fleet_.engine().key_of(i), r.pid, {}, {}});
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
