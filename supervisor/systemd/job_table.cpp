#include "supervisor/systemd/job_table.h"

#include "supervisor/systemd/unit_names.h"

#include <sdbus-c++/sdbus-c++.h>

#include <algorithm>

namespace keepwell::systemd {

namespace {

constexpr std::size_t kMostJobs = 1024;
constexpr std::size_t kRecent = 64;

const char* method_of(UnitVerb verb) {
    switch (verb) {
    case UnitVerb::Start: return "StartUnit";
    case UnitVerb::Stop: return "StopUnit";
    case UnitVerb::Restart: return "RestartUnit";
    case UnitVerb::Reload: return "ReloadUnit";
    case UnitVerb::ResetFailed: return "ResetFailedUnit";
    }
    return "";
}

const char* word_of(JobMode mode) {
    switch (mode) {
    case JobMode::Replace: return "replace";
    case JobMode::Fail: return "fail";
    }
    return "";
}

JobResult result_of(const std::string& word) {
    if (word == "done") return {};
    JobOutcome outcome = JobOutcome::Failed;
    if (word == "canceled") outcome = JobOutcome::Canceled;
    if (word == "timeout") outcome = JobOutcome::Timeout;
    if (word == "dependency") outcome = JobOutcome::Dependency;
    if (word == "skipped") outcome = JobOutcome::Skipped;
    return {outcome, "", "systemd says that the job ended as " + word};
}

} // namespace

JobTable::JobTable(Timers& timers, const Clock& clock, Tell tell)
    : timers_(timers), clock_(clock), tell_(std::move(tell)) {}

JobTable::~JobTable() {
    for (const auto& [id, job] : jobs_) timers_.cancel(job.timer);
}

JobId JobTable::refuse(std::string error_name, std::string text, JobDone done) {
    const JobId id = next_++;
    jobs_[id].done = std::move(done);
    finish(id, {JobOutcome::Error, std::move(error_name), std::move(text)});
    return id;
}

bool JobTable::refused(const BusLink* link, const std::string& why, const std::string& name,
                       JobResult& result) const {
    if (!valid_unit_name(name)) {
        result = {JobOutcome::Error, "org.freedesktop.DBus.Error.InvalidArgs",
                  "this is no name of a systemd unit: " + name.substr(0, 300)};
    } else if (link == nullptr) {
        result = {JobOutcome::Error, "org.freedesktop.DBus.Error.Disconnected", why};
    } else if (jobs_.size() >= kMostJobs) {
        result = {JobOutcome::Error, "org.freedesktop.DBus.Error.LimitsExceeded",
                  "too many orders are under way"};
    }
    return !result.done();
}

JobId JobTable::add(Duration deadline, BusLink* link, JobDone done) {
    const JobId id = next_++;
    Job& job = jobs_[id];
    job.done = std::move(done);
    job.timer = timers_.arm(clock_.now() + deadline, [this, id, weak = std::weak_ptr(alive_),
                                                      link = link->weak_from_this()] {
        const auto strong = link.lock();
        if (!strong) return;
        strong->drain(); // after a pause of ours the end is there, only not read yet
        if (weak.expired() || !jobs_.contains(id)) return;
        finish(id, {JobOutcome::Deadline, "", "the job did not end in time; it may still run"});
    });
    return id;
}

JobId JobTable::order(BusLink* link, const std::string& why, UnitVerb verb, const std::string& name,
                      JobMode mode, Duration deadline, JobDone done) {
    JobResult no;
    if (refused(link, why, name, no)) return refuse(no.error_name, no.text, std::move(done));
    const JobId id = add(deadline, link, std::move(done));
    const bool makes_job = verb != UnitVerb::ResetFailed;
    link->call({kManagerPath, kManager, method_of(verb),
                [name, mode, makes_job](sdbus::MethodCall& m) {
                    m << name;
                    if (makes_job) m << word_of(mode);
                },
                [this, id, makes_job](sdbus::MethodReply* reply, const CallError* error) {
                    replied(id, makes_job, reply, error);
                },
                true});
    return id;
}

JobId JobTable::kill(BusLink* link, const std::string& why, const std::string& name,
                     const std::string& who, int signal, Duration deadline, JobDone done) {
    JobResult no;
    if (refused(link, why, name, no)) return refuse(no.error_name, no.text, std::move(done));
    const JobId id = add(deadline, link, std::move(done));
    link->call({kManagerPath, kManager, "KillUnit",
                [name, who, signal](sdbus::MethodCall& m) {
                    m << name << who << static_cast<std::int32_t>(signal);
                },
                [this, id](sdbus::MethodReply* reply, const CallError* error) {
                    replied(id, false, reply, error);
                },
                true});
    return id;
}

void JobTable::replied(JobId id, bool makes_job, sdbus::MethodReply* reply,
                       const CallError* error) {
    const auto it = jobs_.find(id);
    if (it == jobs_.end()) return;
    if (error != nullptr) return finish(id, {JobOutcome::Error, error->name, error->text});
    if (!makes_job) return finish(id, {});
    sdbus::ObjectPath path;
    *reply >> path;
    it->second.path = path;
    const auto known = std::find_if(recent_.rbegin(), recent_.rend(),
                                    [&](const auto& r) { return r.first == path; });
    if (known != recent_.rend()) finish(id, result_of(known->second));
}

void JobTable::removed(const std::string& path, const std::string& result) {
    recent_.emplace_back(path, result);
    if (recent_.size() > kRecent) recent_.pop_front();
    std::vector<JobId> ids;
    for (const auto& [id, job] : jobs_)
        if (job.path == path) ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    for (const JobId id : ids) finish(id, result_of(result));
}

void JobTable::lose_all(const std::string& why) {
    recent_.clear(); // numbers of jobs may come again
    std::vector<JobId> ids;
    for (const auto& [id, job] : jobs_) ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    for (const JobId id : ids) finish(id, {JobOutcome::Lost, "", why});
}

void JobTable::finish(JobId id, JobResult result) {
    auto node = jobs_.extract(id);
    if (!node) return;
    timers_.cancel(node.mapped().timer);
    ended_[id] = std::move(node.mapped().done);
    tell_([this, id, result = std::move(result)] {
        auto ended = ended_.extract(id);
        if (ended && ended.mapped()) ended.mapped()(result);
    });
}

void JobTable::forget(JobId id) noexcept {
    if (const auto it = jobs_.find(id); it != jobs_.end()) {
        timers_.cancel(it->second.timer);
        jobs_.erase(it);
    }
    ended_.erase(id);
}

} // namespace keepwell::systemd
