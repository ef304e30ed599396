// LocalTasks: helper processes run by this process itself, for programs that have no keeper
// (`keepwell status --once`).
//
// Each runs in a session of its own with the task's user, folder and environment; at the deadline
// and by cancel() its whole process group is killed. The limits, umask and supplementary groups of
// a unit are not applied: a keeper does that.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/task_host.h"

#include <map>
#include <memory>

namespace keepwell {

class LocalTasks final : public TaskHost {
  public:
    explicit LocalTasks(uv::Loop& loop) : loop_(loop) {}
    ~LocalTasks() override; // kills what is left; the loop closes the handles
    TaskId run(const TaskRequest&, std::function<void(TaskResult)>) override;
    void cancel(TaskId) noexcept override;

  private:
    struct Task;
    uv::Loop& loop_;
    std::map<TaskId, Task*> tasks_; // each owns itself until its handles are closed
    TaskId next_ = 1;
};

} // namespace keepwell
