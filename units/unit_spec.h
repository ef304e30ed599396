// The validated, immutable configuration: what the config loader makes and everything else reads.
//
// Plain values with defaults from the design's configuration page; comparable, so that a reload
// finds what changed. Nothing here reads a file or knows TOML. Source positions ride along for
// error messages and never count in ==.
#pragma once

#include "units/time.h"
#include "units/types.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace keepwell {

using namespace std::chrono_literals;
using Argv = std::vector<std::string>;

// Where a key stands, e.g. positions["directory"] = {"keepwell.toml", 14, 13} for
// unit.web.directory.
struct SourcePosition {
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};
struct SourceMap {
    std::map<std::string, SourcePosition> positions;
    friend bool operator==(const SourceMap&, const SourceMap&) { return true; }
};

enum class RestartMode { Always, OnFailure, Never };
enum class KillScope { Tree, Group, Process, Never };
enum class BudgetThen { Cooldown, Stop };

struct WindowPolicy { // X failures among the last Y results trip too; of <= 64
    std::uint32_t failures = 0;
    std::uint32_t of = 0;
    bool operator==(const WindowPolicy&) const = default;
};
struct BackoffPolicy {
    Duration initial = 500ms;
    double factor = 2.0;
    Duration max = 60s;
    double jitter = 0.1;
    Duration reset_after = 60s;
    bool operator==(const BackoffPolicy&) const = default;
};
struct BudgetPolicy {
    std::uint32_t restarts = 10;
    Duration within = 10min;
    BudgetThen then = BudgetThen::Cooldown;
    Duration cooldown = 5min;
    bool operator==(const BudgetPolicy&) const = default;
};
struct StopPolicy {
    int signal = 15;
    Duration timeout = 10s;
    KillScope kill = KillScope::Tree;
    bool operator==(const StopPolicy&) const = default;
};
enum class LadderKind { Restart, Reload, Exec, RestartOther, FreePort, ResetFailed };
struct LadderStep {
    LadderKind kind = LadderKind::Restart;
    Argv command;       // Exec
    std::string target; // RestartOther
    Duration timeout = 30s;
    Duration cooldown = 0s;
    bool operator==(const LadderStep&) const = default;
};
struct Policy {
    std::string name = "default";
    RestartMode restart = RestartMode::Always;
    std::vector<int> success_exit_codes = {0};
    std::uint32_t failures = 3;
    std::uint32_t successes = 1;
    std::optional<WindowPolicy> window;
    BackoffPolicy backoff;
    BudgetPolicy budget;
    StopPolicy stop;
    std::vector<LadderStep> ladder = {LadderStep{}};
    bool operator==(const Policy&) const = default;
};

// ---- checks
// -----------------------------------------------------------------------------------------------------

struct TlsSpec {
    bool verify = true;
    std::string ca;                         // file; empty = the system's
    std::optional<Duration> expires_within; // degraded when the certificate ends this soon
    bool operator==(const TlsSpec&) const = default;
};
struct StatusRange { // inclusive
    int low = 200;
    int high = 299;
    bool operator==(const StatusRange&) const = default;
};
struct HttpCheckSpec {
    std::string url;
    std::string method = "GET";
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::vector<StatusRange> expect_status = {StatusRange{}};
    std::string expect_body; // substring; empty = any
    std::vector<std::pair<std::string, std::string>>
        expect_json; // JSON pointer -> JSON text of the wanted value
    std::vector<std::pair<std::string, std::string>> expect_header; // name -> wanted value (exact)
    std::string unix_socket;
    TlsSpec tls;
    std::uint32_t follow_redirects = 0;
    bool operator==(const HttpCheckSpec&) const = default;
};
struct TcpCheckSpec {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;
    std::string send;
    std::string expect;         // substring of what comes back; empty = a connection is enough
    std::optional<TlsSpec> tls; // a handshake belongs to the connection
    bool operator==(const TcpCheckSpec&) const = default;
};
struct UnixCheckSpec { // a stream socket
    std::string path;
    std::string send;
    std::string expect; // as for tcp
    bool operator==(const UnixCheckSpec&) const = default;
};
struct UserSpec { // resolved at load, in the parent; never looked up in a child
    std::string name;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;
    std::string home = "/";
    bool operator==(const UserSpec&) const = default;
};
struct ExecCheckSpec {
    Argv command;
    std::string user;      // empty = the unit's user
    std::string directory; // empty = the unit's directory
    std::optional<int> warn_exit;
    std::optional<UserSpec> run_as; // `user`, resolved at load; nullopt = the unit's user
    bool operator==(const ExecCheckSpec&) const = default;
};
struct HeartbeatCheckSpec { // a beat (sd_notify WATCHDOG=1, `keepwell beat`) came in time
    Duration within = 30s;
    bool operator==(const HeartbeatCheckSpec&) const = default;
};
struct ProcessCheckSpec { // of the whole host, keepwell itself excepted
    // Any of them, without case: with * or ? a glob over the whole name or command line, else a
    // part of either.
    std::vector<std::string> match, exclude;
    std::uint32_t min = 1;
    std::optional<std::uint32_t> max;
    bool operator==(const ProcessCheckSpec&) const = default;
};
enum class PortExpect { Bound, Free };
struct PortCheckSpec { // a TCP listener on this host
    std::uint16_t port = 0;
    PortExpect expect = PortExpect::Bound;
    bool own = false; // the listener belongs to the unit's own tree
    bool operator==(const PortCheckSpec&) const = default;
};
struct FileCheckSpec { // a regular file, or a folder
    std::string path;
    std::optional<Duration> max_age;
    std::optional<std::uint64_t> max_size;
    std::string contains;
    bool writable = false;
    bool operator==(const FileCheckSpec&) const = default;
};
struct ResourceCheckSpec {     // upper limits of the unit's whole tree
    std::optional<double> cpu; // percent of one core
    std::optional<std::uint64_t> memory, fds, threads, children;
    Duration hold{}; // over the limit for this long without a break; `for` in the configuration
    bool operator==(const ResourceCheckSpec&) const = default;
};
enum class DnsRecord { A, Aaaa, Cname, Mx, Txt, Srv, Ns, Ptr };
struct DnsCheckSpec {
    std::string name;
    std::string server; // address, or address:port; empty = those of resolv.conf
    DnsRecord record = DnsRecord::A;
    std::string expect; // one of the answers; empty = any
    bool operator==(const DnsCheckSpec&) const = default;
};
struct LogCheckSpec { // expressions over the lines of the unit's own log; empty = not given
    std::string bad, good;
    Duration within{}; // of good
    bool operator==(const LogCheckSpec&) const = default;
};
struct SystemdCheckSpec {
    std::string unit; // "nginx.service"
    std::vector<std::string> states = {"active"};
    std::string bus = "system"; // as SystemdSpec::bus
    bool operator==(const SystemdCheckSpec&) const = default;
};
struct DiskLimit {
    std::string path = "/";
    std::optional<double> max;         // percent used
    std::optional<std::uint64_t> free; // bytes that must be left
    bool operator==(const DiskLimit&) const = default;
};
struct HostCheckSpec { // upper limits
    std::vector<DiskLimit> disk, inodes;
    std::optional<double> memory, swap; // percent used
    std::optional<double> load;         // of one minute, for each core
    std::optional<double> cpu_pressure, memory_pressure, io_pressure; // percent of 10 s, "some"
    Duration hold{};                                                  // as of ResourceCheckSpec
    bool operator==(const HostCheckSpec&) const = default;
};
using ProbeSpec =
    std::variant<HttpCheckSpec, TcpCheckSpec, ExecCheckSpec, UnixCheckSpec, ProcessCheckSpec,
                 PortCheckSpec, FileCheckSpec, ResourceCheckSpec, HeartbeatCheckSpec, DnsCheckSpec,
                 LogCheckSpec, SystemdCheckSpec, HostCheckSpec>;

enum class ComponentStyle { Bool, UpDown, Operational };
struct ComponentSpec {
    std::string name;
    ComponentStyle style = ComponentStyle::Bool;
    bool operator==(const ComponentSpec&) const = default;
};

struct CheckSpec {
    std::string id;
    ProbeSpec probe;
    Duration interval = 10s;
    Duration timeout = 5s;
    Duration retry_interval = 2s; // already min(interval, …)
    Duration slow = 1s;           // http only: slower than this degrades
    std::uint32_t failures = 3;   // from the policy where not given
    std::uint32_t successes = 1;
    Duration grace = 30s;
    CheckEffect effect = CheckEffect::Down;
    bool heals = true;
    bool enabled = true;
    std::vector<std::string> blames; // unit keys
    std::optional<ComponentSpec> component;
    bool operator==(const CheckSpec&) const = default;
};
std::string_view type_name(const ProbeSpec&) noexcept; // as in the configuration

// ---- process
// ----------------------------------------------------------------------------------------------------

struct LimitSpec { // nullopt = leave what keepwell's caller had
    std::optional<std::uint64_t> nofile, core = 0, nproc, stack, as, fsize, memlock; // rlimits
    // Of the daemon's whole tree, by cgroups; not of its hooks and checks.
    std::optional<std::uint64_t> memory;
    std::optional<std::uint32_t> cpu, pids; // cpu: percent of one core
    bool operator==(const LimitSpec&) const = default;
};
struct ProcessSpec {
    Argv command;
    Argv start_command, stop_command, reload_command, pre_start;
    std::string directory = "/";
    std::optional<UserSpec> user; // nullopt = keepwell's own
    std::uint32_t umask = 022;
    int nice = 0;
    int oom_score_adj = 0;
    std::vector<std::string>
        environment; // complete "K=V" list as the child gets it (KEEPWELL_UNIT is added at spawn)
    LimitSpec limits;
    bool operator==(const ProcessSpec&) const = default;
};

enum class LogMode { Pipe, File, None };
enum class LogOnError { Drop, Block };
struct LogSpec {
    std::uint64_t max_size = 16U << 20;
    std::uint32_t keep = 10;
    bool compress = true;
    LogMode mode = LogMode::Pipe;
    bool separate_stderr = false;
    LogOnError on_error = LogOnError::Drop;
    bool operator==(const LogSpec&) const = default;
};

struct SystemdSpec {
    std::string unit; // "nginx.service"; with * or ? a pattern that follows units
    std::string bus;  // "system", "user" or an address
    bool is_pattern() const { return unit.find_first_of("*?") != std::string::npos; }
    bool operator==(const SystemdSpec&) const = default;
};
struct MatchSpec { // as the process check: any of `match`, none of `exclude`
    std::vector<std::string> match, exclude;
    std::uint32_t min = 1;
    std::optional<std::uint32_t> max;
    bool operator==(const MatchSpec&) const = default;
};

enum class ReadyKind { Started, Notify, Check, Log };
struct ReadySpec {
    ReadyKind kind = ReadyKind::Started; // Started = alive for 1 s
    std::string arg;                     // check ID, or a regular expression
    bool operator==(const ReadySpec&) const = default;
};

struct UnitSpec {
    std::string key;
    std::string name; // display name; the key when not given
    std::string description;
    std::string group;
    std::vector<std::string> tags;
    bool critical = true;
    UnitKind kind = UnitKind::Child;
    bool enabled = true;
    bool autostart = true;
    bool dry_run = false; // the unit's own or the supervisor's
    bool heal = true;
    std::string template_name;
    std::optional<std::uint32_t> instance;
    Policy policy;
    ProcessSpec process;
    std::string pidfile; // kind PidFile: an absolute path
    std::string service; // kinds PidFile and Match: of systemd; empty = told by its cgroup
    SystemdSpec systemd; // kind Systemd
    MatchSpec match;     // kind Match
    std::vector<CheckSpec> checks;
    std::vector<std::string> requires_units; // keys
    std::vector<std::string> after;          // keys
    ReadySpec ready;
    Duration ready_timeout = 30s;
    Duration start_timeout = 30s;
    LogSpec log;
    std::vector<std::string> log_files; // that the daemon writes itself; absolute
    SourceMap where;
    bool operator==(const UnitSpec&) const = default;
};
// Does the daemon get a socket for sd_notify messages? With ready = "notify" or a heartbeat check.
bool has_notify_socket(const UnitSpec&) noexcept;
// The shortest `within` of its heartbeat checks: what WATCHDOG_USEC says; nullopt without one.
std::optional<Duration> heartbeat_within(const UnitSpec&) noexcept;

template <class T>
struct Threshold { // reached is over
    T warning{}, critical{};
    bool operator==(const Threshold&) const = default;
};
struct MetricsSpec {                                             // [supervisor.metrics]
    Duration interval = 30s;                                     // of the host's figures
    Duration per_unit = 10s;                                     // of the figures of each unit
    Threshold<double> cpu{70, 90}, memory{80, 95}, disk{85, 95}; // percent
    Threshold<Duration> response{1s, 5s};
    std::vector<std::string> paths = {"/"}; // whose file systems are looked at
    bool operator==(const MetricsSpec&) const = default;
};
struct HistorySpec { // [supervisor.history]
    bool enabled = true;
    Duration minute = 24h;    // roll-ups by minute are kept that long
    Duration hour = 24h * 90; // roll-ups by hour, events and changes
    std::uint64_t max_size = 256ULL << 20;
    bool operator==(const HistorySpec&) const = default;
};
struct ApiTlsSpec { // PEM files
    std::string cert, key;
    bool operator==(const ApiTlsSpec&) const = default;
};
struct ApiSpec { // [supervisor.api], without redact
    // Scopes of a TCP caller without token; nullopt: read and metrics on loopback, none elsewhere.
    std::optional<std::vector<std::string>> anonymous;
    std::uint32_t max_streams = 32, max_streams_per_address = 8;
    std::string tokens_file; // empty = state_dir/tokens
    std::optional<ApiTlsSpec> tls;
    std::vector<std::string> allowed_hosts;   // names without port, lower case
    std::vector<std::string> origins;         // "https://status.example"
    std::vector<std::string> frame_ancestors; // origins, or 'self'
    bool behind_proxy = false;
    bool operator==(const ApiSpec&) const = default;
};
struct SupervisorSpec {
    std::string runtime_dir, state_dir, log_dir, status_file;
    Duration status_interval = 30s;
    std::vector<std::string> listen;
    std::string log_level = "info";
    bool dry_run = false;
    std::uint32_t max_parallel_starts = 4;
    std::uint32_t restarts_per_minute = 60; // 0 = off
    double health_threshold = 0.7;
    std::vector<std::string> redact; // expressions; what they match in a log line is not shown
    MetricsSpec metrics;
    HistorySpec history;
    ApiSpec api;
    bool operator==(const SupervisorSpec&) const = default;
};

struct Configuration {
    SupervisorSpec supervisor;
    std::vector<UnitSpec>
        units; // instances expanded; in dependency-safe order; cycles already refused
};

} // namespace keepwell
