// The task half of KeeperClient: running helpers, their last output, one result each.
#pragma once

#include "supervisor/keeper/link.h"
#include "units/ports/clock.h"
#include "units/ports/task_host.h"

#include <map>
#include <memory>

namespace keepwell {

class KeeperTasks {
  public:
    KeeperTasks(uv::Loop&, const Clock&, Link&);
    ~KeeperTasks();
    TaskId run(const TaskRequest&, std::function<void(TaskResult)>);
    void cancel(TaskId) noexcept;
    void on_report(const wire::Report&, Received&); // one with kTask

  private:
    struct Task;
    void deliver(TaskId, TaskResult);
    void read(Task&);

    uv::Loop& loop_;
    const Clock& clock_;
    Link& link_;
    std::map<TaskId, std::unique_ptr<Task>> tasks_;
    std::map<TaskId, int> unsent_; // refused before they reached the keeper: errno
    TaskId next_ = 1;
    uv::Timer unsent_timer_;
};

SpawnStage stage_of(wire::Stage) noexcept;
ExitStatus status_of(const wire::Report&) noexcept;
std::string message_bytes(const void* data, std::size_t size);

} // namespace keepwell
