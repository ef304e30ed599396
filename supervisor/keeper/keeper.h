// The keeper's own data and the parts it is made of. The keeper spawns, reaps and remembers; it has
// no policy. One thread, one epoll set, nothing that waits; libc only, no exceptions.
//
// The table of records is the only queue towards the supervisor: each record says by its `tell`
// bits what is still to be sent. A record lives from SPAWN until its exit and the end of its tree
// are acknowledged. Keeper is passed to every function; there is no global state.
#pragma once

#include "supervisor/keeper/proc.h"
#include "supervisor/keeper/wire.h"

#include <cstdlib>
#include <sys/resource.h>
#include <unistd.h>

namespace keepwell::keeper {

class Fd { // owns one descriptor
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    int release() {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }
    void reset(int fd = -1) {
        if (fd_ >= 0) close(fd_);
        fd_ = fd;
    }

  private:
    int fd_ = -1;
};

// Bytes of their own length on the heap, with a NUL behind them.
class Bytes {
  public:
    Bytes() = default;
    ~Bytes() { std::free(at_); }
    Bytes(Bytes&& other) noexcept { swap(other); }
    Bytes& operator=(Bytes&& other) noexcept {
        swap(other);
        return *this;
    }
    const char* text() const { return at_ == nullptr ? "" : at_; }
    std::size_t size() const { return size_; }
    bool set(const void* from, std::size_t size); // false without memory: then it stays as it was

  private:
    void swap(Bytes& other) {
        char* const at = at_;
        const std::uint32_t size = size_;
        at_ = other.at_;
        size_ = other.size_;
        other.at_ = at;
        other.size_ = size;
    }

    char* at_ = nullptr;
    std::uint32_t size_ = 0;
};

enum class Phase : std::uint8_t { Intent, Spawning, Running, Exited, Failed };

inline constexpr std::uint32_t kTellSpawned = 1, kTellFailed = 2, kTellExited = 4, kTellTree = 8,
                               kTellRefused = 16, kTellMain = 32;
inline constexpr std::uint32_t kSafeAfterDeaths = 3; // of supervisors soon after their start
inline constexpr std::uint32_t kNoLane = ~0U, kNoPlace = ~0U;
inline constexpr std::uint32_t kPlaces = 8;
// Ticks after a sign of life that are one sleep: it comes every five, so a healthy supervisor costs
// no wake-ups.
inline constexpr std::uint32_t kQuietTicks = 10;
inline constexpr std::uint32_t kAliveTicks = 5;   // between signs of life
inline constexpr std::uint32_t kMostAside = 1024; // records; each with up to two descriptors
inline constexpr std::uint32_t kAbortAfterTicks = 30, kKillAfterTicks = 35;

struct Record {
    Bytes key, mark;          // mark: value of KEEPWELL_UNIT
    std::uint64_t generation; // of a task: its id
    std::uint32_t hash;       // of key
    Phase phase;
    bool task;
    bool ours; // our child (or adopted orphan), so waitid works
    bool leaf; // the tree is a cgroup
    bool exit_known;
    bool exit_acked;
    bool tree_gone;
    bool aside; // acknowledged and in no index; here only for what is unread in its pipes
    std::uint8_t empty_looks; // censuses in a row without a process of the tree
    bool timed_out;
    bool oom;
    bool killed;                        // by a SIGKILL of ours
    std::uint32_t legacy;               // v1 groups it has, by controller
    std::uint32_t missing;              // limits that could not be set, as the report has them
    std::uint64_t oom_seen;             // OOM kills in its tree, as of the last sign of life,
    std::uint64_t oom_before;           // and as of the one before
    std::uint32_t index;                // in Keeper::records
    Record *next_of_name, *next_of_pid; // in their hash chains
    Record *timed_before, *timed_after; // in Keeper::timed
    Record* next_told;                  // in Keeper::told
    bool timed;
    std::uint32_t serial; // tells a stale epoll event from this record's
    std::uint32_t tell;
    std::uint32_t lane = kNoLane;
    std::uint32_t place = kNoPlace;
    std::uint32_t uid;
    pid_t pid;
    pid_t session;             // of the main process
    std::uint64_t first_ticks; // start time of the oldest process: the one that was spawned
    Fd pidfd, output, stage_pipe;
    Fd notify;        // the unit's sd_notify socket
    bool has_notify;  // it shall have one
    int main_refused; // errno of the last MainPid
    Fd errors;        // read end of a pipe of its own for stderr
    std::uint64_t start_ticks, output_inode, errors_inode;
    std::int64_t started_ns, exited_ns;
    std::int64_t deadline_ns; // exec stage, then kill_at of a task; of a zombie of others: give up
    std::int64_t kill_at_ns;
    std::int32_t wait_status, error;
    wire::Stage stage;
    std::uint64_t user_us, system_us, max_rss_kib;
    std::uint64_t refused; // a generation that was asked for too early
    int watch = -1;        // inotify descriptor of the leaf's cgroup.events
    std::uint32_t state_entry = ~0U;
    Bytes unknown; // fields of the state file that this version does not know
    std::int32_t kept[4] = {-1, -1, -1,
                            -1}; // what one keeper hands to the next: pidfd, output, errors
};

struct StateEntry {         // of the state file: two slots, written in turn
    std::uint64_t sequence; // of the newer one
    std::uint8_t newer;
    bool used;
};
struct StateFile {
    Fd fd;
    std::uint32_t capacity = 0;   // entries
    std::uint32_t first_free = 0; // none below it
    StateEntry* entries = nullptr;
};

struct Ends { // of one spawn; all close themselves on any failure
    Fd go_read, go_write, stage_read, stage_write, output_read, output_child;
    Fd errors_read, errors_child;
};

struct Capabilities {
    bool clone3 = true, into_cgroup = true, clone_pidfd = true, close_range = true;
    bool cgroup = true, cgroup_kill = true, pidfd_info = true, scm_pidfd = true;
    bool share_memory = true; // with a child until its exec
};

// What a child uses that runs on the keeper's memory until its exec: its stack, with a page below
// it that nobody may touch, and its plan.
struct Place {
    unsigned char* stack = nullptr;
    void* plan = nullptr; // nullptr = free
};

inline constexpr std::uint32_t kControllerCount = 3; // memory, cpu, pids
inline constexpr const char* kMainSuffix = ".main";  // of the leaf of keeper and supervisor
inline constexpr int kNullFd = 3;                    // /dev/null, the stdin of every child
inline constexpr int kFirstLane = 4;
inline constexpr int kLaneSize = 4; // low descriptors: go, stage, output, errors
inline constexpr std::uint32_t kLanes = 16;
inline constexpr int kFirstHanded = 128; // descriptors handed to the next keeper: above any lane
inline constexpr std::uint32_t kBuckets = 1024; // a power of two

struct Supervisor {
    Record memory{}; // its place in the state file; not in the table
    pid_t pid = 0;
    Fd pidfd, link;
    std::uint32_t serial = 0;
    bool greeted = false; // said HELLO
    bool send_blocked = false, waits_writable = false;
    std::uint32_t list_from = 0; // next index to list
    bool list_asked = false;
    bool tell_welcome = false, tell_stop = false, tell_reload = false;
    bool tell_leave = false, tell_refused = false;
    bool finished = false, left = false; // it has ended everything, or itself alone
    int exit_code = 0;
    std::int64_t started_ns = 0;
    std::int64_t restart_at_ns = 0; // while there is none
    std::int64_t kill_at_ns = 0;    // it closed its link or said FINISHED but lives
    std::int64_t retry_send_ns = 0;
    std::uint32_t backoff_ms = 0, early_deaths = 0;
    bool watchdog = false;
    std::uint32_t silent_ticks = 0;
    std::int64_t next_tick_ns = 0;
};

struct Manager { // who started us and wants to know how we are: systemd
    char path[112] = {};
    std::size_t path_length = 0; // 0 = nobody
    std::int64_t watchdog_ns = 0, next_pet_ns = 0, retry_ns = 0;
    char pending[4096] = {}; // messages it did not take yet, each with its NUL
    std::size_t pending_size = 0;
};

struct Upgrade {   // see upgrade.cpp
    pid_t pid = 0; // of the new program that looks at our state
    Fd pidfd, output;
    std::int64_t deadline_ns = 0;
    bool late = false, agreed = false, handing_over = false;
    char text[400] = {}; // why not
};

struct Keeper {
    const char* runtime_dir = nullptr;
    char fleet[512] = {}; // the same without symbolic links: the value of KEEPWELL_FLEET
    char** program = nullptr;
    char program_file[4096] = {}; // of this keeper, as it is called now
    bool in_place = false;        // we were exec'ed by an earlier keeper
    Fd runtime, lock, epoll, signals, inotify, cgroup_base;
    Fd stage_pipes[4];
    char cgroup_path[512] = {};                   // of the base, empty = none
    char cgroup_relative[512] = {};               // the same as /proc/PID/cgroup shows it
    char cgroup_name[40] = {};                    // its last part
    bool delegated[kControllerCount] = {};        // v2 leaves have the controller
    char legacy_path[kControllerCount][512] = {}; // of the base in the v1 hierarchy, empty = none
    Capabilities can;
    rlimit original_nofile{};
    int original_nice = 0, original_oom = 0;
    bool lanes[kLanes] = {};
    Place places[kPlaces];
    Record** records = nullptr;
    std::uint32_t record_count = 0; // length of the array; entries may be null
    std::uint32_t first_free = 0;   // none below it
    Record *by_name[kBuckets] = {}, *by_pid[kBuckets] = {};
    Record* timed = nullptr; // those that may have a deadline; who has none leaves at the next look
    Record *told = nullptr, *told_last = nullptr; // those with tell bits, oldest first
    Ends spare;                                   // for the next spawn, made while nobody waits
    std::uint32_t next_serial = 1;
    std::uint32_t aside = 0; // records that are
    std::uint32_t freed = 0; // records so far: who walks a list starts again when it has changed
    StateFile state;
    Supervisor supervisor;
    Manager manager;
    Upgrade upgrade;
    std::int64_t rewatch_ns = 0;   // a descriptor could not be watched: then all are tried again
    std::int64_t next_reap_ns = 0; // look for orphans; 0 = no sign of any
    bool scan_wanted = false;      // a tree without a cgroup may have ended
    std::int64_t next_scan_ns = 0;
    bool stopping = false;       // SIGTERM came
    bool stopping_alone = false; // and the supervisor is gone
    std::int64_t kill_all_ns = 0, give_up_ns = 0;
    std::int64_t settled_ns = 0; // by then the start is over
    std::int64_t tick_ns = 1'000'000'000;
    bool done = false;
    int exit_code = 0;
};

// What an epoll event is about, packed into its 64 bits.
enum class Source : std::uint8_t {
    Link,
    SupervisorExit,
    Signals,
    Inotify,
    RecordExit,
    RecordStage,
    UpgradeCheck
};
// Where the kernel has no room for one more, it is tried again until it has.
void watch(Keeper&, int fd, std::uint32_t events, Source, std::uint32_t index, std::uint32_t serial,
           bool modify = false);
// Closes it and takes it out of the set. Closing alone would not: a child that has not reached its
// exec may hold a copy, and would keep its events coming.
void unwatch(Keeper&, Fd&);
std::int64_t now_ns();
[[gnu::format(printf, 1, 2)]] void say(const char* format, ...); // one line on stderr

// table.cpp: records and what happens to them
Record* find(Keeper&, const char* key);
Record* find_task(Keeper&, std::uint64_t id);
Record* find_pid(Keeper&, pid_t);
Record* add_record(Keeper&, const char* key, bool task, std::uint64_t generation);
void free_record(Keeper&, Record&);
// What the supervisor had acknowledged before it had read all of the output: were it killed now,
// the next one finds the rest here. Frees the record when there is nothing to read.
void lay_aside(Keeper&, Record&);
void tell(Keeper&, Record&, std::uint32_t bits);
void untell(Keeper&, Record&);
void arm(Keeper&, Record&); // it has a deadline now
void disarm(Keeper&, Record&);
void set_pid(Keeper&, Record&, pid_t);
bool is_known(const Keeper&, pid_t); // the process of a record, also after its end
void settle(Keeper&, Record&);       // frees it if nobody needs it any more
void on_record_exit(Keeper&, Record&, std::uint32_t events);
void on_stage(Keeper&, Record&);
void reap_orphans(Keeper&);
void check_deadline(Keeper&, Record&, std::int64_t now);
int wait_status_of(int code, int status); // of siginfo_t
bool kernel_tells_exits();                // of processes that are not our children

// spawn.cpp
void spawn(Keeper&, Record&, const unsigned char* body, std::size_t size,
           const wire::SpawnMessage&);
bool start_supervisor(Keeper&);
void release_lane(Keeper&, Record&);
void release_place(Keeper&, Record&); // its child has had its exec, or is gone
void make_spare(Keeper&);

// output.cpp
bool make_output_pipe(bool large, Fd& read_end, Fd& child_end);

// clone.cpp
struct ChildStart { // of a child that runs on our memory until its exec
    unsigned char* stack;
    std::size_t size;
    void (*run)(void*);
    void* argument;
};
void close_from(const Capabilities&, int first); // every descriptor from this one on
pid_t clone_child(const Keeper&, int cgroup, bool share_files, const ChildStart*, int& pidfd);

// cgroup.cpp
void find_cgroup(Keeper&);
int make_leaf(Keeper&, const Record&); // an O_PATH descriptor, or -1
int open_leaf(const Keeper&, const Record&);
void remove_leaf(Keeper&, const Record&);
bool leaf_populated(const Keeper&, const Record&);
bool in_leaf(const Keeper&, const Record&, pid_t);
void watch_leaf(Keeper&, Record&);
void unwatch_leaf(Keeper&, Record&);
void on_inotify(Keeper&);
void remove_cgroups(Keeper&); // at a clean exit

// limits.cpp
void find_limits(Keeper&);
void set_limits(Keeper&, Record&, const wire::Body&, int leaf);
void adopt_limits(Keeper&, Record&);
void note_oom(Keeper&); // at each sign of life
bool killed_by_oom(const Keeper&, const Record&);
void remove_limits(Keeper&, Record&);
void remove_all_limits(Keeper&); // at a clean exit

// tree.cpp
void signal_record(Keeper&, Record&, int signal, wire::Scope);
void check_tree(Keeper&, Record&); // its main process is gone: is the tree?
void scan_trees(Keeper&);
bool in_tree(Keeper&, const Record&, pid_t);

// notify.cpp
bool make_notify_socket(Keeper&, Record&); // false with errno
void remove_notify_socket(const Keeper&, Record&);
void notify_variable(const Keeper&, const Record&, char* out, std::size_t size); // NOTIFY_SOCKET=
void change_main(Keeper&, Record&, const wire::MainPidMessage&);

// state.cpp
bool open_state(Keeper&);                                 // and adopts what it holds
int check_state(const char* runtime_dir, char** program); // exit code of --check-state
bool save(Keeper&, Record&);
void forget(Keeper&, Record&);
void save_supervisor(Keeper&);

// manager.cpp
void find_manager(Keeper&);
void tell_manager(Keeper&, const char* text); // lines as sd_notify takes them
void pet_manager(Keeper&, std::int64_t now);
void manager_to_environment(const Keeper&); // as we found it
void manager_from_environment();

// upgrade.cpp
void find_program_file(Keeper&);
void begin_upgrade(Keeper&);
void on_upgrade_check(Keeper&);
void upgrade_now(Keeper&); // the supervisor is gone, or there is none
void check_upgrade(Keeper&, std::int64_t now);

// adopt.cpp
void adopt(Keeper&, Record&); // a record from the state file: is its process alive?

// wire_server.cpp
void on_link(Keeper&, std::uint32_t events);
void flush(Keeper&);
void drop_link(Keeper&);

// main.cpp
void on_supervisor_exit(Keeper&);

} // namespace keepwell::keeper
