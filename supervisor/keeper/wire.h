// The language between keeper and supervisor: fixed little-endian structures over SOCK_SEQPACKET,
// one message a datagram, plain data that both ends copy in and out.
//
// Every message begins with a Header; a wrong magic, version or size makes the reader drop the
// link. Neither end ever waits for the other. A unit's instance is named by (key, generation), a
// task by its id in `generation` with an empty key. Only libc and <cstdint> are needed, so that the
// keeper can share it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace keepwell::wire {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian");

inline constexpr std::uint32_t kMagic = 0x314b574b; // "KWK1"
inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::size_t kKeySize = 80; // with the closing NUL
inline constexpr std::size_t kMarkSize = 160;
inline constexpr std::uint32_t kPageSize =
    64; // reports in one page; each with up to three descriptors
inline constexpr std::uint32_t kInlineBody = 32768; // larger bodies ride in a sealed memfd
inline constexpr std::uint32_t kMaxBody = 16U << 20;
inline constexpr std::size_t kMaxMessage = 48U << 10;
inline constexpr std::size_t kMaxNotice = 1000;

enum class Type : std::uint16_t {
    // to the keeper
    Hello = 1,
    Spawn,
    Task,
    Signal,
    Ack,
    List,
    Alive,
    Finished,
    Notify,       // text for the service manager follows
    Upgrade,      // put the program that is installed now in your place
    MainPid = 20, // the unit says that another process of its own is the main one now
    // to the supervisor
    Welcome = 64,
    Spawned,
    SpawnFailed,
    Exited,
    TreeEmpty,
    Page,
    Stop,
    Reload,
    MainChanged = 84, // the answer, with the main process as it is; `error` when it was refused
    Leave,            // end, and touch no daemon
    UpgradeRefused,   // why follows
};

// Header::flags of Report
inline constexpr std::uint32_t kOutput = 1U << 0; // the output pipe's read end rides along
inline constexpr std::uint32_t kTask = 1U << 1;
inline constexpr std::uint32_t kLeaf = 1U << 2; // the tree is a cgroup of its own
inline constexpr std::uint32_t kExited = 1U << 3;
inline constexpr std::uint32_t kExitKnown = 1U << 4;
inline constexpr std::uint32_t kExitAcked = 1U << 5;
inline constexpr std::uint32_t kTreeGone = 1U << 6;
inline constexpr std::uint32_t kTimedOut = 1U << 7;
inline constexpr std::uint32_t kOom = 1U << 8;
inline constexpr std::uint32_t kFailed = 1U << 9;
inline constexpr std::uint32_t kErrors = 1U << 10; // a pipe of its own for stderr rides along
inline constexpr std::uint32_t kNotify = 1U << 11; // the unit's notify socket rides along
// Limits of the tree that could not be set.
inline constexpr std::uint32_t kNoMemoryLimit = 1U << 12;
inline constexpr std::uint32_t kNoCpuLimit = 1U << 13;
inline constexpr std::uint32_t kNoPidsLimit = 1U << 14;
// Only in a page: ended, told and acknowledged; all there is of it is output that nobody has read.
inline constexpr std::uint32_t kLastWords = 1U << 15;
// The descriptors of one report come in this order: output, errors, notify.
// Header::flags of Welcome
inline constexpr std::uint32_t kManager = 1U << 0; // there is a service manager to be told
// Header::flags of Ack
inline constexpr std::uint32_t kAckExit = 1U << 0;
inline constexpr std::uint32_t kAckTree = 1U << 1;
inline constexpr std::uint32_t kAckFailure = 1U << 2;

enum class Stage : std::uint32_t {
    None,
    Prepare,
    Fork,
    Cgroup,
    Rlimit,
    Directory,
    Groups,
    Gid,
    Uid,
    Exec,
    Timeout,
    Keeper,
};
enum class Scope : std::uint32_t { Process, Group, Tree };

struct Header {
    std::uint32_t magic = kMagic;
    std::uint16_t version = kVersion;
    Type type{};
    std::uint32_t size = 0; // of the whole message
    std::uint32_t flags = 0;
    std::uint64_t generation = 0;
    char key[kKeySize] = {};
};

struct SpawnMessage { // Spawn, Task; the body follows, or is a memfd of body_size bytes
    Header header;
    std::int64_t kill_at_ns = 0; // CLOCK_MONOTONIC, 0 = never
    std::uint32_t exec_timeout_ms = 0;
    std::uint32_t body_size = 0;
};
struct SignalMessage {
    Header header;
    std::int32_t signal = 0;
    Scope scope{};
};
struct MainPidMessage {
    Header header;
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0; // of the process that was meant
};
struct ListMessage {
    Header header;
    std::uint32_t from = 0; // 0, then Page::next
    std::uint32_t reserved = 0;
};
struct FinishedMessage {
    Header header;
    std::int32_t exit_code = 0;
    std::uint32_t leave = 0; // the daemons go on
};
struct WelcomeMessage { // with both ends of each staging pipe: read, write, read, write
    Header header;
    std::int64_t keeper_pid = 0;
    std::int64_t alive_ms = 0;  // say Alive this often
    char cgroup_base[512] = {}; // directory of the units' leaves; empty = none
    char fleet[512] = {};       // value of KEEPWELL_FLEET
};
struct Report { // Spawned, SpawnFailed, Exited, TreeEmpty, MainChanged, and each entry of a Page
    Header header;
    std::int64_t pid = 0;
    std::uint64_t start_ticks = 0;
    std::int64_t started_ns = 0, exited_ns = 0; // CLOCK_MONOTONIC
    std::uint64_t user_us = 0, system_us = 0, max_rss_kib = 0;
    std::int32_t wait_status = 0; // as waitpid gives it; valid with kExitKnown
    std::int32_t error = 0;       // errno
    Stage stage{};
    std::uint32_t uid = 0;
};
struct PageMessage { // then `count` reports, and the descriptors of each in order
    Header header;
    std::uint32_t count = 0;
    std::uint32_t next = 0; // 0 = that was the last page
};

// The body of Spawn and Task. After it: groups (u32 each), then NUL-terminated strings: mark,
// directory, with OutputMode::File the path of stdout and of stderr, argv…, environment….
enum class OutputMode : std::uint32_t { Pipe, None, File };
enum Limit : std::uint32_t { Nofile, Core, Nproc, Stack, As, Fsize, Memlock, LimitCount };
struct Body {
    std::uint32_t argc = 0, envc = 0, groups = 0;
    std::uint32_t has_user = 0, uid = 0, gid = 0;
    std::uint32_t umask = 022;
    std::int32_t nice = 0;
    std::int32_t oom_score_adj = 0;
    OutputMode output{};
    std::uint32_t separate_errors = 0; // stderr has a pipe (or file) of its own
    std::uint32_t notify = 0;          // a socket for sd_notify messages
    std::uint32_t limit_mask = 0;
    std::uint32_t pids_max = 0;    // of the whole tree; 0 = no limit
    std::uint32_t cpu_percent = 0; // of one core; 0 = no limit
    std::uint32_t reserved = 0;
    std::uint64_t memory_max = 0; // bytes of the whole tree; 0 = no limit
    std::uint64_t limits[LimitCount] = {};
};

static_assert(sizeof(Header) == 104 && sizeof(Report) == 176 && sizeof(Body) == 128);

} // namespace keepwell::wire
