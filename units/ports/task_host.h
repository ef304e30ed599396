// Port: short-lived helper processes (exec checks, pre_start, hooks), run by the keeper, killed
// with their whole tree at the deadline or when the supervisor dies. The callback runs on the loop,
// exactly once unless cancelled; cancel() kills.
#pragma once
#include "units/event.h"
#include "units/time.h"
#include "units/types.h"
#include "units/unit_spec.h"
#include <cstdint>
#include <functional>
#include <string>
namespace keepwell {
struct TaskRequest {
    std::string label;   // "web/check:disk", for KEEPWELL_UNIT and messages
    ProcessSpec process; // command is what runs
    Duration timeout{};
    std::size_t keep_output = 512; // the last bytes of stdout and stderr together
};
struct TaskResult {
    SpawnStage failed_stage = SpawnStage::None; // not None: it never ran; error is the errno
    int error = 0;
    bool timed_out = false;
    ExitStatus status;
    std::string output; // as kept, raw bytes
    Duration took{};
};
using TaskId = std::uint64_t;
class TaskHost {
  public:
    virtual ~TaskHost() = default;
    virtual TaskId run(const TaskRequest&, std::function<void(TaskResult)>) = 0;
    virtual void cancel(TaskId) noexcept = 0;
};
} // namespace keepwell
