// KeeperClient: the supervisor's end of the keeper's socket, behind the ports ProcessHost and
// TaskHost.
//
// Every call returns at once and queues what the socket does not take; answers come on the loop,
// never from inside a call. After start() the order is: on_connected, then for each instance the
// keeper holds on_output and on_adopted (plus on_exited, on_tree_empty where that is so), then
// on_list_complete. on_lost comes at most once; after it nothing else does. Descriptors given to a
// hook belong to the receiver and are O_CLOEXEC and O_NONBLOCK. Memory is a few words for each
// unit, never a buffer.
// The destructor closes the socket and drops running tasks without calling back (the keeper kills
// them). One thread.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/process_host.h"
#include "units/ports/task_host.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

struct StagePipe { // both ends of one pipe that outlives the supervisor
    int read = -1;
    int write = -1;
};

class KeeperClient final : public ProcessHost, public TaskHost {
  public:
    struct Hooks {
        // The read end of an instance's output pipe; before its on_spawned or on_adopted.
        std::function<void(const std::string& key, Generation, int pipe_fd)> on_output;
        // That of its stderr, where it has a pipe of its own; at the same moment.
        std::function<void(const std::string& key, Generation, int pipe_fd)> on_errors;
        // The instance's sd_notify socket; at the same moment.
        std::function<void(const std::string& key, Generation, int socket)> on_notify;
        // The answer to set_main(): the main process as it is now; error = errno of a refusal.
        std::function<void(const std::string& key, Generation, std::int64_t pid, int error)>
            on_main;
        std::function<void()> on_stop_requested;   // the keeper got SIGTERM or SIGINT
        std::function<void()> on_reload_requested; // the keeper got SIGHUP
        std::function<void()> on_leave_requested;  // end and touch no daemon: an upgrade
        std::function<void(const std::string& why)> on_upgrade_refused;
        std::function<void(std::vector<StagePipe>)> on_connected; // first of all
        std::function<void()> on_lost;                            // the keeper is dead: exit
    };

    KeeperClient(uv::Loop&, const Clock&, int fd, Hooks); // owns fd from now on
    ~KeeperClient() override;
    KeeperClient(const KeeperClient&) = delete;
    KeeperClient& operator=(const KeeperClient&) = delete;

    void start(); // once, after set_listener
    void alive(); // "my loop turns"; the first one arms the keeper's watchdog
    // The keeper shall exit with this code: every unit is stopped, or (leave) goes on without us.
    void finished(int exit_code, bool leave = false);
    void upgrade(); // the installed program in the keeper's place; answered by one of two hooks
    bool flushed() const; // the socket has taken everything that was said
    // sd_notify lines for the service manager that started the keeper; dropped where there is none.
    void notify(const std::string& text);
    bool has_manager() const;        // known from on_connected on
    Duration alive_interval() const; // say alive() this often; known from on_connected on
    std::int64_t keeper_pid() const; // 0 until on_connected

    void set_log_directory(std::string); // before the first spawn; for log.mode = file
    void set_listener(ProcessListener*) override;
    void spawn(const UnitSpec&, Generation) override;
    void signal(const std::string& key, Generation, int signal, SignalScope) override;
    void ack(const std::string& key, Generation) override;
    // The unit says that this process is its main one; the keeper looks whether it may be.
    void set_main(const std::string& key, Generation, std::int64_t pid);
    struct Tree { // what is known of an instance, to tell its processes from others
        std::int64_t main = 0;
        std::uint32_t uid = 0;
        std::string cgroup; // directory of its leaf; empty = it has none
        std::string fleet;  // value of KEEPWELL_FLEET
    };
    std::optional<Tree> tree(const std::string& key) const;
    std::vector<Survivor> survivors(const std::string& key) override;
    std::string cgroup_of(const std::string& key) const override;
    std::vector<std::string> missing_limits(const std::string& key) const override;
    bool owns_tree(const std::string& key) const override; // false for what is not known

    TaskId run(const TaskRequest&, std::function<void(TaskResult)>) override;
    void cancel(TaskId) noexcept override;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
