// JobTable: orders under way, from the call until systemd's JobRemoved, the deadline or the loss of
// the bus; each ends exactly once.
//
// JobRemoved may come before the reply that names the job: the last results are kept for that.
// Several orders may end with one job, since systemd merges them.
#pragma once

#include "supervisor/systemd/bus_link.h"
#include "units/ports/systemd_bus.h"

#include <unordered_map>

namespace keepwell::systemd {

class JobTable {
  public:
    // Tells the owner of an order through `tell`, outside of any call.
    using Tell = std::function<void(std::function<void()>)>;
    JobTable(Timers&, const Clock&, Tell);
    ~JobTable();
    JobTable(const JobTable&) = delete;
    JobTable& operator=(const JobTable&) = delete;

    // link null: the bus is not up, and `why` says why.
    JobId order(BusLink* link, const std::string& why, UnitVerb, const std::string& name, JobMode,
                Duration deadline, JobDone);
    JobId kill(BusLink* link, const std::string& why, const std::string& name,
               const std::string& who, int signal, Duration deadline, JobDone);
    void forget(JobId) noexcept;
    void removed(const std::string& path, const std::string& result); // systemd's JobRemoved
    void lose_all(const std::string& why);

  private:
    struct Job {
        JobDone done;
        TimerId timer = 0;
        std::string path; // of systemd's job; empty = not known yet
    };
    JobId add(Duration deadline, BusLink*, JobDone);
    JobId refuse(std::string error_name, std::string text, JobDone);
    bool refused(const BusLink*, const std::string& why, const std::string& name, JobResult&) const;
    void replied(JobId, bool makes_job, sdbus::MethodReply*, const CallError*);
    void finish(JobId, JobResult);

    Timers& timers_;
    const Clock& clock_;
    Tell tell_;
    JobId next_ = 1;
    std::unordered_map<JobId, Job> jobs_;
    std::unordered_map<JobId, JobDone> ended_;               // to be told
    std::deque<std::pair<std::string, std::string>> recent_; // path, result
    std::shared_ptr<int> alive_ = std::make_shared<int>();
};

} // namespace keepwell::systemd
