#include "supervisor/keeper/keeper_tasks.h"

#include "supervisor/keeper/spawn_body.h"

#include <cerrno>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell {

namespace {
constexpr std::uint32_t kExecTimeoutMs = 30'000;
constexpr std::size_t kReadSize = 16384;
constexpr int kReadTurns = 16; // a flooding helper shares the loop with everybody else
} // namespace

struct KeeperTasks::Task {
    std::function<void(TaskResult)> done;
    std::size_t keep = 0;
    std::string output;
    Instant began;
    UniqueFd pipe;
    std::unique_ptr<uv::Poll> poll; // before pipe in death: declared after it
};

SpawnStage stage_of(wire::Stage stage) noexcept {
    switch (stage) {
    case wire::Stage::None: return SpawnStage::None;
    case wire::Stage::Prepare: return SpawnStage::Prepare;
    case wire::Stage::Fork: return SpawnStage::Fork;
    case wire::Stage::Cgroup: return SpawnStage::Cgroup;
    case wire::Stage::Rlimit: return SpawnStage::Rlimit;
    case wire::Stage::Directory: return SpawnStage::Directory;
    case wire::Stage::Groups: return SpawnStage::Groups;
    case wire::Stage::Gid: return SpawnStage::Gid;
    case wire::Stage::Uid: return SpawnStage::Uid;
    case wire::Stage::Exec: return SpawnStage::Exec;
    case wire::Stage::Timeout: return SpawnStage::Timeout;
    case wire::Stage::Keeper: return SpawnStage::Keeper;
    }
    return SpawnStage::Keeper;
}

ExitStatus status_of(const wire::Report& m) noexcept {
    ExitStatus s;
    s.known = (m.header.flags & wire::kExitKnown) != 0;
    if (!s.known) return s;
    if (WIFSIGNALED(m.wait_status)) {
        s.signal = WTERMSIG(m.wait_status);
        s.core = WCOREDUMP(m.wait_status);
    } else {
        s.code = WEXITSTATUS(m.wait_status);
    }
    s.oom = (m.header.flags & wire::kOom) != 0;
    return s;
}

std::string message_bytes(const void* data, std::size_t size) {
    return {static_cast<const char*>(data), size};
}

KeeperTasks::KeeperTasks(uv::Loop& loop, const Clock& clock, Link& link)
    : loop_(loop), clock_(clock), link_(link), unsent_timer_(loop, [this] {
          for (const auto& [id, error] : std::exchange(unsent_, {})) {
              TaskResult result;
              result.failed_stage = SpawnStage::Prepare;
              result.error = error;
              deliver(id, std::move(result));
          }
      }) {
    // Ids are never used twice in one boot, so that a predecessor's helper is no answer for ours.
    next_ = static_cast<TaskId>(clock.now().time_since_epoch().count()) | 1U;
}

KeeperTasks::~KeeperTasks() = default;

TaskId KeeperTasks::run(const TaskRequest& request, std::function<void(TaskResult)> done) {
    const TaskId id = next_++;
    auto task = std::make_unique<Task>();
    task->done = std::move(done);
    task->keep = request.keep_output;
    task->began = clock_.now();
    OutputWish output;
    if (request.keep_output == 0) output.mode = LogMode::None;
    SpawnBody body =
        spawn_body(request.process, request.label, "+task-" + std::to_string(id), output);
    if (body.error != 0) {
        unsent_.emplace(id, body.error);
        unsent_timer_.start(0);
    } else {
        wire::SpawnMessage m;
        m.header.type = wire::Type::Task;
        m.header.generation = id;
        m.header.size = static_cast<std::uint32_t>(sizeof m + body.bytes.size());
        if (request.timeout.count() > 0)
            m.kill_at_ns = (task->began + request.timeout).time_since_epoch().count();
        m.exec_timeout_ms = kExecTimeoutMs;
        m.body_size = body.size;
        link_.send(message_bytes(&m, sizeof m) + body.bytes, std::move(body.memfd));
    }
    tasks_.emplace(id, std::move(task));
    return id;
}

void KeeperTasks::cancel(TaskId id) noexcept {
    if (tasks_.erase(id) == 0 || unsent_.erase(id) != 0) return;
    wire::SignalMessage m;
    m.header.type = wire::Type::Signal;
    m.header.size = sizeof m;
    m.header.flags = wire::kTask;
    m.header.generation = id;
    m.signal = 9;
    m.scope = wire::Scope::Tree;
    link_.send(message_bytes(&m, sizeof m));
}

void KeeperTasks::read(Task& task) {
    char buffer[kReadSize];
    for (int i = 0; task.pipe && i < kReadTurns; ++i) {
        const ssize_t n = ::read(task.pipe.get(), buffer, sizeof buffer);
        if (n < 0) return;
        if (n == 0) {
            task.poll.reset();
            task.pipe.reset();
            return;
        }
        task.output.append(buffer, static_cast<std::size_t>(n));
        if (task.output.size() > task.keep) task.output.erase(0, task.output.size() - task.keep);
    }
}

void KeeperTasks::deliver(TaskId id, TaskResult result) {
    const auto it = tasks_.find(id);
    if (it == tasks_.end()) return;
    const std::unique_ptr<Task> task = std::move(it->second);
    tasks_.erase(it); // done() may run and cancel anything
    read(*task);
    result.output = std::move(task->output);
    result.took = clock_.now() - task->began;
    task->done(std::move(result));
}

void KeeperTasks::on_report(const wire::Report& m, Received& in) {
    const TaskId id = m.header.generation;
    const auto it = tasks_.find(id);
    if (it == tasks_.end()) return; // cancelled
    TaskResult result;
    if (m.header.type == wire::Type::Spawned) {
        if (in.fds.empty()) return;
        Task& task = *it->second;
        task.pipe = std::move(in.fds.front());
        task.poll = std::make_unique<uv::Poll>(loop_, task.pipe.get(),
                                               [this, &task](int, int) { read(task); });
        task.poll->start(UV_READABLE);
    } else if (m.header.type == wire::Type::SpawnFailed) {
        result.failed_stage = stage_of(m.stage);
        result.error = m.error;
        deliver(id, std::move(result));
    } else if (m.header.type == wire::Type::Exited) {
        result.status = status_of(m);
        result.timed_out = (m.header.flags & wire::kTimedOut) != 0;
        deliver(id, std::move(result));
    }
}

} // namespace keepwell
