#include "supervisor/app/local_tasks.h"

#include <array>
#include <csignal>
#include <unistd.h>

namespace keepwell {

// Lives until its three handles are closed; knows its host only while the host wants the result.
struct LocalTasks::Task {
    LocalTasks* host = nullptr;
    TaskId id = 0;
    uv_process_t process{};
    uv_pipe_t output{};
    uv_timer_t deadline{};
    std::array<char, 4096> buffer{};
    std::size_t keep = 512;
    std::function<void(TaskResult)> done;
    TaskResult result;
    std::uint64_t begun_ns = 0;
    bool begun = false; // the process handle exists
    bool exited = false, drained = false, closing = false;
    int open_handles = 3;

    void kill_group() const noexcept {
        if (process.pid > 0 && !exited) (void)::kill(-process.pid, SIGKILL);
    }
    void close_all() noexcept {
        if (closing) return;
        closing = true;
        for (auto* handle :
             {reinterpret_cast<uv_handle_t*>(&process), reinterpret_cast<uv_handle_t*>(&output),
              reinterpret_cast<uv_handle_t*>(&deadline)}) {
            if (handle == reinterpret_cast<uv_handle_t*>(&process) && !begun) continue;
            uv_close(handle, [](uv_handle_t* h) {
                auto* self = static_cast<Task*>(h->data);
                if (--self->open_handles == 0) delete self;
            });
        }
    }
    void end_if_done() {
        if (!exited || !drained || closing) return;
        result.took = std::chrono::nanoseconds(uv_hrtime() - begun_ns);
        auto callback = std::move(done);
        TaskResult given = std::move(result);
        if (host != nullptr) host->tasks_.erase(id);
        close_all();
        if (callback) callback(std::move(given));
    }
    void take(const char* data, std::size_t length) {
        result.output.append(data, length);
        if (result.output.size() > keep) result.output.erase(0, result.output.size() - keep);
    }
    int spawn(uv_loop_t* loop, const ProcessSpec& spec);
    void fail(int error) {
        result.failed_stage = SpawnStage::Exec;
        result.error = -error;
        exited = drained = true;
    }
};

namespace {

// The words of a list as exec wants them; they live as long as the list.
std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (const auto& word : words) out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

} // namespace

int LocalTasks::Task::spawn(uv_loop_t* loop, const ProcessSpec& spec) {
    std::array<uv_file, 2> ends{};
    if (const int error = uv_pipe(ends.data(), UV_NONBLOCK_PIPE, 0); error != 0) {
        open_handles = 2; // the process was never begun
        return error;
    }
    begun = true;
    (void)uv_pipe_open(&output, ends[0]);
    std::array<uv_stdio_container_t, 3> stdio{};
    stdio[0].flags = UV_IGNORE;
    for (const std::size_t i : {1U, 2U}) {
        stdio[i].flags = UV_INHERIT_FD;
        stdio[i].data.fd = ends[1];
    }
    auto argv = pointers(spec.command);
    auto environment = pointers(spec.environment);
    uv_process_options_t options{};
    options.file = argv[0];
    options.args = argv.data();
    options.env = environment.data();
    options.cwd = spec.directory.c_str();
    options.flags = UV_PROCESS_DETACHED;
    if (spec.user) {
        options.flags |= UV_PROCESS_SETUID | UV_PROCESS_SETGID;
        options.uid = spec.user->uid;
        options.gid = spec.user->gid;
    }
    options.stdio_count = 3;
    options.stdio = stdio.data();
    options.exit_cb = [](uv_process_t* p, std::int64_t code, int signal) {
        auto* self = static_cast<Task*>(p->data);
        self->result.status.known = true;
        self->result.status.code = static_cast<int>(code);
        self->result.status.signal = signal;
        self->exited = true;
        (void)::kill(-p->pid, SIGKILL); // what it left behind would hold the pipe
        self->end_if_done();
    };
    const int error = uv_spawn(loop, &process, &options);
    close(ends[1]);
    if (error != 0) return error;
    return uv_read_start(
        reinterpret_cast<uv_stream_t*>(&output),
        [](uv_handle_t* h, size_t, uv_buf_t* out) {
            auto& b = static_cast<Task*>(h->data)->buffer;
            *out = uv_buf_init(b.data(), static_cast<unsigned>(b.size()));
        },
        [](uv_stream_t* s, ssize_t n, const uv_buf_t* in) {
            auto* self = static_cast<Task*>(s->data);
            if (n > 0) return self->take(in->base, static_cast<std::size_t>(n));
            if (n == 0) return;
            self->drained = true;
            self->end_if_done();
        });
}

LocalTasks::~LocalTasks() {
    for (auto& [id, task] : tasks_) {
        task->host = nullptr;
        task->done = nullptr;
        task->kill_group();
        task->close_all();
    }
}

void LocalTasks::cancel(TaskId id) noexcept {
    const auto it = tasks_.find(id);
    if (it == tasks_.end()) return;
    Task* task = it->second;
    tasks_.erase(it);
    task->host = nullptr;
    task->done = nullptr;
    task->kill_group();
    task->close_all();
}

TaskId LocalTasks::run(const TaskRequest& request, std::function<void(TaskResult)> done) {
    auto* task = new Task;
    task->host = this;
    task->id = next_++;
    task->keep = request.keep_output;
    task->done = std::move(done);
    task->begun_ns = uv_hrtime();
    uv_pipe_init(loop_.raw(), &task->output, 0);
    uv_timer_init(loop_.raw(), &task->deadline);
    task->process.data = task->output.data = task->deadline.data = task;
    tasks_.emplace(task->id, task);
    const int error = task->spawn(loop_.raw(), request.process);
    if (error != 0) task->fail(error);
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(request.timeout).count();
    uv_timer_start(
        &task->deadline,
        [](uv_timer_t* t) {
            auto* self = static_cast<Task*>(t->data);
            if (self->exited) return self->end_if_done(); // a start that failed
            self->result.timed_out = true;
            self->kill_group();
        },
        error != 0 ? 0 : static_cast<std::uint64_t>(wait), 0);
    return task->id;
}

} // namespace keepwell
