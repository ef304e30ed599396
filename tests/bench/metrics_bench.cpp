// Measures what one sample of the figures of 1,000 units costs: CPU milliseconds a sample and
// microseconds a unit, for units found by ancestry and for units with a cgroup of their own; and
// what the page of /metrics costs for as many units with a check each.
//
// usage: metrics_bench [units] [samples]. The units stand on real processes that only sleep (at
// most 900; more units share them), children of this program in a process group and, where cgroup
// v2 can be written, a cgroup of their own; they end with it, whatever happens.
#include "supervisor/metrics/page.h"
#include "units/machine.h"
#include "watchers/host_sampler.h"
#include "watchers/tree_sampler.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

using namespace keepwell;

namespace {

constexpr int kMostProcesses = 900;

volatile sig_atomic_t stopped = 0; // by a signal: what was made is taken away first

double cpu_ms() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto ms = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
    };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

class Crowd {
  public:
    explicit Crowd(int count) {
        for (const char* root : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
            if (access((std::string(root) + "/cgroup.procs").c_str(), W_OK) != 0) continue;
            const std::string own =
                std::string(root) + "/keepwell-bench-" + std::to_string(getpid());
            if (mkdir(own.c_str(), 0755) == 0) cgroup_ = own;
            break;
        }
        const pid_t parent = getpid();
        for (int i = 0; i < count && !stopped; ++i) {
            const pid_t pid = fork();
            if (pid < 0) break;
            if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
                setpgid(0, pids_.empty() ? 0 : pids_.front());
                if (getppid() != parent) _exit(1);
                for (;;) pause();
            }
            setpgid(pid, pids_.empty() ? pid : pids_.front());
            pids_.push_back(pid);
            if (!cgroup_.empty()) {
                const std::string leaf = leaf_of(pids_.size() - 1);
                mkdir(leaf.c_str(), 0755);
                std::ofstream(leaf + "/cgroup.procs") << pid;
            }
        }
    }
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;
    ~Crowd() {
        if (!pids_.empty()) kill(-pids_.front(), SIGKILL);
        for (const pid_t pid : pids_) waitpid(pid, nullptr, 0);
        if (cgroup_.empty()) return;
        for (std::size_t i = 0; i < pids_.size(); ++i) rmdir(leaf_of(i).c_str());
        rmdir(cgroup_.c_str());
    }
    bool has_cgroups() const { return !cgroup_.empty(); }
    std::vector<TreeRef> trees(int units, bool by_cgroup) const {
        std::vector<TreeRef> trees;
        for (int i = 0; i < units; ++i) {
            const std::size_t slot = static_cast<std::size_t>(i) % pids_.size();
            trees.push_back({pids_[slot], by_cgroup ? leaf_of(slot) : ""});
        }
        return trees;
    }

  private:
    std::string leaf_of(std::size_t i) const { return cgroup_ + "/u" + std::to_string(i); }
    std::string cgroup_;
    std::vector<pid_t> pids_;
};

void measure(const char* name, const std::vector<TreeRef>& trees, int samples) {
    TreeSampler sampler;
    Instant now{std::chrono::seconds(1)};
    std::size_t found = 0;
    for (const TreeFigures& f : sampler.sample(trees, now)) found += f.count > 0 ? 1 : 0;
    const double begin = cpu_ms();
    const auto at = std::chrono::steady_clock::now();
    for (int i = 0; i < samples && !stopped; ++i) {
        now += std::chrono::seconds(10);
        (void)sampler.sample(trees, now);
    }
    const double took = (cpu_ms() - begin) / samples;
    const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - at;
    std::printf("%-22s %5zu of %5zu units  %7.2f ms CPU a sample  %6.2f us a unit  %7.2f ms wall  "
                "%.3f %% of a core every 10 s\n",
                name, found, trees.size(), took, took * 1000 / static_cast<double>(trees.size()),
                wall.count() / samples, took / 100);
}

// Units that run, each with an http check that has answered.
struct PageUnit {
    UnitSpec spec;
    UnitRecord record;
    metrics::UnitTally tally;
    ProcessFigures figures;
};

std::vector<std::unique_ptr<PageUnit>> page_units(int count) {
    std::vector<std::unique_ptr<PageUnit>> units;
    for (int i = 0; i < count; ++i) {
        auto u = std::make_unique<PageUnit>();
        u->spec.key = "service-" + std::to_string(i);
        u->spec.checks.resize(1);
        u->spec.checks[0].id = "http";
        u->spec.checks[0].probe = HttpCheckSpec{};
        u->record = initial_record(u->spec, Instant{std::chrono::seconds(1)});
        u->record.state = State::Running;
        u->record.health = Verdict::Healthy;
        u->record.main_alive = true;
        u->record.checks.resize(1);
        u->record.checks[0].ran = true;
        u->tally.align(u->spec);
        u->tally.checks[0].duration.observe(0.004);
        u->tally.checks[0].code = 200;
        u->tally.cpu = {12.34, 5.67};
        u->tally.started.wall = u->tally.changed.wall = WallTime{1'796'053'926'608 + i};
        u->figures.memory_bytes = 123'456'789;
        u->figures.open_fds = 17;
        u->figures.threads = 4;
        u->figures.process_count = 2;
        units.push_back(std::move(u));
    }
    return units;
}

void measure_page(int count, int samples) {
    const auto units = page_units(count);
    metrics::PageInput in;
    for (const auto& u : units)
        in.units.push_back({&u->spec, &u->record, &u->tally, &u->figures, 123'456, 0});
    in.version = KEEPWELL_VERSION;
    const std::string first = metrics::write_page(in);
    const double begin = cpu_ms();
    for (int i = 0; i < samples && !stopped; ++i)
        if (metrics::write_page(in).size() != first.size()) std::abort();
    std::printf("%-22s %5d units  %10.2f ms CPU a page  %6.2f MB\n", "the page of /metrics", count,
                (cpu_ms() - begin) / samples, static_cast<double>(first.size()) / 1e6);
}

} // namespace

int main(int argc, char** argv) {
    const int units = argc > 1 ? std::atoi(argv[1]) : 1000;
    const int samples = argc > 2 ? std::atoi(argv[2]) : 20;
    if (units < 1 || samples < 1) {
        std::fprintf(stderr, "usage: metrics_bench [units] [samples]\n");
        return 2;
    }
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
        std::signal(signal, [](int) { stopped = 1; });
    const Crowd crowd(std::min(units, kMostProcesses));
    measure("by ancestry", crowd.trees(units, false), samples);
    measure("by ancestry, 10 units", crowd.trees(std::min(units, 10), false), samples);
    if (crowd.has_cgroups()) measure("by cgroup", crowd.trees(units, true), samples);
    measure_page(units, samples);
    if (stopped) return 1;
    HostSampler host;
    const double begin = cpu_ms();
    for (int i = 0; i < samples; ++i) (void)host.sample();
    std::printf("%-22s %7.2f ms CPU a sample\n", "host", (cpu_ms() - begin) / samples);
    return 0;
}
