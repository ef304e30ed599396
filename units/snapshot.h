// UnitSnapshot: everything a reader may know of one unit, as plain values. The engine makes one
// after each change; status.json, the API and the CLI's views are written from it and from nothing
// else.
#pragma once

#include "units/record.h"
#include "units/time.h"
#include "units/types.h"
#include "units/unit_spec.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keepwell {

// What a service's own health page says of it.
struct Reported {
    std::string json; // an object, cleaned and short; empty = nothing
    std::optional<double> uptime_s;
    bool operator==(const Reported&) const = default;
};

struct CheckView {
    std::string id, type; // "http"
    std::string status;   // pass | warn | fail | unknown (never run, or stale)
    CheckEffect effect = CheckEffect::Down;
    bool heals = true, enabled = true, tripped = false;
    std::uint32_t consecutive_failures = 0, failures = 3;
    std::optional<double> duration_ms;
    std::optional<double> slow_ms; // http only
    WallTime time;                 // of the last result; 0 = never
    WallTime next_at;
    std::string output;     // cleaned: at most 512 bytes of valid UTF-8 without control characters
    int code = 0;           // http status, exit code
    std::string url;        // http only, without user info
    std::string expected;   // http only: "200-299"
    std::string host;       // tcp only
    std::uint16_t port = 0; // tcp only
    std::optional<ComponentSpec> component;
    WallTime failing_since;   // 0 = passing
    WallTime cert_expires_at; // 0 = none seen
};

struct ManagedState { // of a unit that systemd manages, in its words
    std::string unit, state, sub_state, result, error; // state empty = not known
    std::string file_state, status_text;               // "enabled", …; what its STATUS= says
    std::uint32_t n_restarts = 0;                      // by systemd itself
};

// Share of the watched time that it was up; of the last 1h 24h 7d 30d; nullopt = nothing known.
using UptimeRatios = std::array<std::optional<double>, 4>;

struct UnitSnapshot {
    std::string key, name, group, description, template_name;
    std::vector<std::string> tags, requires_units, after;
    std::optional<std::uint32_t> instance;
    bool critical = true, enabled = true, dry_run = false, heal = true;
    UnitKind kind = UnitKind::Child;
    State state = State::Stopped;
    Desired desired = Desired::Stopped;
    Verdict health = Verdict::Unknown;
    std::string reason; // text for people; empty when there is nothing to say
    bool should_run = false;
    bool ok =
        true; // docs/status.md: process there when it should be, no tripped check with effect down
    Generation generation = 0;
    std::int64_t pid = 0; // 0 = none
    WallTime state_since, health_since, started_at;
    std::string blocked_by; // key; empty = none
    bool tree_certain = false;
    bool paused = false;
    WallTime paused_until; // 0 = no limit or not paused
    std::string paused_by;

    std::vector<CheckView> checks;
    WallTime last_checked, next_check_at; // 0 = none
    std::optional<double> response_ms;    // of the first http check, else the first check
    std::string response_status;          // ok | warning | critical; empty = no answer was timed
    double error_rate = 0;                // percent of failed checks in the last hour

    Reported reported;
    std::string status_text; // its own words (sd_notify STATUS=); empty = none

    std::uint64_t restarts_total = 0;
    WallTime last_restart_at;
    std::string last_trigger; // "" | check | exit | operator | dependency | start_failure
    std::uint32_t consecutive_failures = 0; // the largest of the checks
    WallTime next_attempt_at;               // end of backoff or cooldown
    WallTime cooldown_until;
    double backoff_s = 0;
    std::uint32_t attempts_left = 0, budget = 0;
    double cooldown_s = 0;
    bool flapping = false;
    std::optional<ExitStatus> last_exit;
    WallTime last_exit_at;
    bool auto_restart_attempted = false; // in the current or last incident
    std::optional<bool> auto_restart_ok;
    std::string auto_restart_error;

    // Cheap process figures, sampled; nullopt when there is no process or it was never sampled.
    std::optional<double> cpu_percent, memory_percent;
    std::optional<std::uint64_t> memory_bytes, open_fds, threads;
    std::vector<std::int64_t> pids;  // at most 64
    std::uint64_t process_count = 0; // all of them; 0 = never sampled
    std::optional<ManagedState> managed;

    UptimeRatios uptime_ratio;
    std::string history_states; // newest last, at most 60 letters of U G D X P
    std::vector<double> history_latency_ms;
    double history_step_s = 30;

    // log capture
    std::uint64_t log_dropped_bytes = 0;
    std::string log_error; // "" when writing works
    // What the configuration asks for and this host does not do, for people.
    std::vector<std::string> warnings;
};

struct DiskFigures { // total 0 = it could not be looked at
    std::string path;
    std::uint64_t total = 0, used = 0, free = 0; // free: for users other than root
};

struct HostMetrics {
    double cpu_percent = 0;
    std::uint32_t cpu_count = 0;
    double load[3] = {0, 0, 0};
    std::uint64_t memory_total = 0, memory_available = 0;
    std::vector<DiskFigures> disks; // one for each path that was asked for
    std::uint64_t net_sent = 0, net_received = 0, net_packets_sent = 0, net_packets_received = 0;
};

struct IncidentView { // the last one of any unit that ended, or the one in progress (until.ms == 0)
    std::string service, reason;
    WallTime from, until;
};

struct SupervisorSnapshot {
    std::uint64_t sequence = 0;
    WallTime generated_at, started_at;
    std::string host, version, note, mode = "production_monitoring";
    double interval_s = 30;
    double health_threshold = 0.7;
    HostMetrics metrics;
    MetricsSpec limits; // what the metrics are compared with
    std::optional<IncidentView> last_incident;
};

} // namespace keepwell
