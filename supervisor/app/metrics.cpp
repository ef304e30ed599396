#include "supervisor/app/metrics.h"

#include "supervisor/status/status_document.h"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::uint64_t kFirstMs = 1000;

std::uint64_t in_ms(Duration d) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(
        1, std::chrono::duration_cast<std::chrono::milliseconds>(d).count()));
}

ProcessFigures figures_of(TreeFigures tree, std::uint64_t memory_total) {
    ProcessFigures f;
    if (tree.count == 0) return f;
    f.pids = std::move(tree.pids);
    f.process_count = tree.count;
    f.memory_bytes = tree.memory;
    f.threads = tree.threads;
    f.open_fds = tree.fds;
    f.cpu_percent = tree.cpu;
    if (memory_total > 0)
        f.memory_percent =
            100.0 * static_cast<double>(tree.memory) / static_cast<double>(memory_total);
    return f;
}

} // namespace

struct Metrics::UnitsJob {
    std::vector<UnitIndex> indices;
    std::vector<std::string> keys;
    std::vector<Generation> generations;
    std::vector<TreeRef> trees;
    std::vector<TreeFigures> figures;
    Instant at;
};

struct Metrics::HostJob {
    std::vector<std::string> paths;
    HostMetrics result;
    SelfFigures self;
};

Metrics::Metrics(uv::Loop& loop, Fleet& fleet, std::function<void()> on_status)
    : loop_(loop),
      fleet_(fleet),
      on_status_(std::move(on_status)),
      host_sampler_(std::make_shared<HostSampler>()),
      tree_sampler_(std::make_shared<TreeSampler>()),
      host_timer_(loop, [this] { begin_host(true); }),
      units_timer_(loop, [this] { begin_units(); }) {}

void Metrics::start(const MetricsSpec& spec) {
    const bool first = host_.cpu_count == 0;
    spec_ = spec;
    host_timer_.start(first ? std::min(kFirstMs, in_ms(spec.interval)) : in_ms(spec.interval),
                      in_ms(spec.interval));
    units_timer_.start(std::min(kFirstMs, in_ms(spec.per_unit)), in_ms(spec.per_unit));
    begin_host(false); // something to show at once
}

void Metrics::begin_host(bool is_step) {
    if (host_work_) return;
    auto job = std::make_shared<HostJob>();
    job->paths = spec_.paths;
    host_work_ = uv::run_in_pool(
        loop_,
        [job, sampler = host_sampler_] {
            job->self = sample_self(); // before what a dead network disk may hold up
            job->result = sampler->sample(job->paths);
        },
        [this, job, is_step] {
            host_work_.reset();
            self_ = job->self;
            take(std::move(job->result), is_step);
            if (job->paths != spec_.paths) begin_host(false); // a reload came meanwhile
        });
}

void Metrics::take(HostMetrics fresh, bool is_step) {
    host_ = std::move(fresh);
    if (is_step) fleet_.add_host_step(host_, spec_.interval);
    std::string status = host_status(host_, spec_);
    if (status == host_status_) return;
    host_status_ = std::move(status);
    on_status_();
}

void Metrics::begin_units() {
    if (units_work_) return;
    auto job = std::make_shared<UnitsJob>();
    job->at = uv::MonotonicClock().now();
    for (const UnitIndex i : fleet_.engine().all()) {
        if (!fleet_.engine().record(i).main_alive) continue;
        job->indices.push_back(i);
        job->keys.push_back(fleet_.engine().key_of(i));
        job->generations.push_back(fleet_.engine().record(i).generation);
        job->trees.push_back(fleet_.tree(i));
    }
    units_work_ = uv::run_in_pool(
        loop_,
        [job, sampler = tree_sampler_] { job->figures = sampler->sample(job->trees, job->at); },
        [this, job] {
            units_work_.reset();
            take(*job);
        });
}

void Metrics::take(const UnitsJob& job) {
    const double ticks = ticks_per_second();
    for (std::size_t n = 0; n < job.figures.size(); ++n) {
        const TreeFigures& f = job.figures[n];
        fleet_.add_cpu(job.indices[n], job.keys[n],
                       {static_cast<double>(f.user_ticks) / ticks,
                        static_cast<double>(f.system_ticks) / ticks});
        fleet_.set_figures(job.indices[n], job.keys[n], job.generations[n],
                           figures_of(f, host_.memory_total));
    }
}

} // namespace keepwell
