#include "supervisor/app/port_freer.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

constexpr Duration kTermTime = 3s;

std::string name_of(const PortHolder& h) {
    return fmt::format("port {} is held by {} ({})", h.port, h.name, h.pid);
}

// As /proc/PID/stat counts.
std::uint64_t ticks_since_boot() {
    timespec t{};
    clock_gettime(CLOCK_BOOTTIME, &t);
    const auto hz = static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
    return static_cast<std::uint64_t>(t.tv_sec) * hz +
           static_cast<std::uint64_t>(t.tv_nsec) * hz / 1'000'000'000U;
}

} // namespace

struct PortFreer::Job {
    std::string unit;
    Duration timeout{};
    std::shared_ptr<std::optional<LeftOver>> holder;
    std::shared_ptr<ProcessHandle> handle;
    std::shared_ptr<void> search;
    TimerId timer = 0;
};

PortFreer::PortFreer(uv::Loop& loop, const Clock& clock, Timers& timers, Tell tell)
    : loop_(loop), clock_(clock), timers_(timers), tell_(std::move(tell)) {}

PortFreer::~PortFreer() {
    for (const auto& [unit, job] : jobs_)
        if (job->timer != 0) timers_.cancel(job->timer);
}

void PortFreer::free(const LeftOverQuery& query, Duration timeout) {
    if (jobs_.count(query.unit) != 0) return;
    LeftOverQuery asked = query;
    asked.asked_ticks = ticks_since_boot();
    auto& job = jobs_[query.unit] = std::make_unique<Job>();
    job->unit = query.unit;
    job->timeout = timeout;
    job->holder = std::make_shared<std::optional<LeftOver>>();
    job->handle = std::make_shared<ProcessHandle>();
    job->search = uv::run_in_pool(
        loop_,
        [asked, holder = job->holder, handle = job->handle] {
            *holder = find_left_over(asked);
            if (*holder && (*holder)->ours)
                *handle = ProcessHandle::open((*holder)->holder.pid, (*holder)->start_ticks);
        },
        [this, unit = query.unit] {
            const auto it = jobs_.find(unit);
            if (it != jobs_.end()) found(*it->second);
        });
}

void PortFreer::found(Job& job) {
    const std::string unit = job.unit;
    const std::optional<LeftOver> holder = *job.holder;
    const bool ours = holder && holder->ours && *job.handle;
    if (!ours) {
        jobs_.erase(unit);
        return tell_(unit, holder ? name_of(holder->holder) +
                                        ", which is no left-over of this unit: left alone"
                                  : "no port is held by anybody else");
    }
    job.handle->signal(SIGTERM);
    job.handle->signal(SIGCONT);
    job.timer =
        timers_.arm(clock_.now() + std::min(kTermTime, job.timeout), [this, unit] { kill(unit); });
    tell_(unit, name_of(holder->holder) + ", a left-over of this unit: SIGTERM");
}

void PortFreer::kill(const std::string& unit) {
    const auto it = jobs_.find(unit);
    if (it == jobs_.end()) return;
    const bool stays = it->second->handle->alive();
    if (stays) it->second->handle->signal(SIGKILL);
    const auto pid = (*it->second->holder)->holder.pid;
    jobs_.erase(it);
    if (stays) tell_(unit, fmt::format("left-over {} did not end: SIGKILL", pid));
}

void PortFreer::forget(const std::string& unit) {
    const auto it = jobs_.find(unit);
    if (it == jobs_.end()) return;
    if (it->second->timer != 0) timers_.cancel(it->second->timer);
    jobs_.erase(it);
}

} // namespace keepwell
