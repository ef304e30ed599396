#include "supervisor/metrics/page_parts.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>

namespace keepwell::metrics {

namespace {

constexpr std::array<std::string_view, 4> kHealths = {"health=\"healthy\"", "health=\"degraded\"",
                                                      "health=\"down\"", "health=\"unknown\""};
constexpr std::array<std::string_view, kStateCount> kStates = {
    "state=\"stopped\"",  "state=\"waiting\"", "state=\"starting\"", "state=\"running\"",
    "state=\"stopping\"", "state=\"backoff\"", "state=\"cooldown\"", "state=\"completed\"",
    "state=\"failed\"",   "state=\"unknown\""};

struct Line { // a unit with its label, escaped once
    const UnitRow& row;
    const UnitSpec& spec;
    const UnitRecord& record;
    const UnitTally& tally;
    std::string service;
};

std::vector<Line> lines_of(const std::vector<UnitRow>& rows) {
    std::vector<Line> lines;
    lines.reserve(rows.size());
    for (const UnitRow& r : rows)
        lines.push_back({r, *r.spec, *r.record, *r.tally, label("service", r.spec->key)});
    return lines;
}

using Lines = std::vector<Line>;

// One sample for each unit whose value is known.
template <class F>
void each(Exposition& e, const Lines& lines, std::string_view name, Type type,
          std::string_view help, F value) {
    e.metric(name, type, help);
    for (const Line& l : lines)
        if (const auto v = value(l)) e.sample({l.service}, *v);
}

std::optional<std::uint64_t> known(std::uint64_t v) { return v; }
std::optional<std::uint64_t> yes(bool v) { return v ? 1U : 0U; }
std::optional<double> time_of(bool there, WallTime t) {
    return there ? std::optional(unix_seconds(t)) : std::nullopt;
}

bool is_up(const Line& l) {
    return l.spec.kind == UnitKind::External ? l.record.health != Verdict::Down
                                             : l.record.main_alive;
}

// As a shell tells it: the code, or 128 and the signal.
std::optional<double> exit_code(const Line& l) {
    const auto& status = l.record.last_exit;
    if (!status || !status->known) return std::nullopt;
    return status->signal != 0 ? 128 + status->signal : status->code;
}

std::uint64_t failures(const Line& l) {
    std::uint32_t most = 0;
    for (const CheckCounter& c : l.record.checks) most = std::max(most, c.failures);
    return most;
}

double backoff(const Line& l) {
    const bool waits = l.record.state == State::Backoff || l.record.state == State::Cooldown;
    return waits && l.record.deadline(TimerKind::Retry)
               ? std::chrono::duration<double>(l.record.current_delay).count()
               : 0;
}

// The words as labels, escaped once for all units.
template <std::size_t N>
std::array<std::string, N> labels_of(std::string_view name,
                                     const std::array<std::string_view, N>& words) {
    std::array<std::string, N> all;
    for (std::size_t i = 0; i < N; ++i) all[i] = label(name, words[i]);
    return all;
}

void write_states(Exposition& e, const Lines& lines) {
    std::array<std::uint64_t, kHealths.size()> sums{};
    for (const Line& l : lines) ++sums[static_cast<std::size_t>(l.record.health)];
    e.metric("keepwell_services", Type::Gauge, "Units by their health.");
    for (std::size_t i = 0; i < sums.size(); ++i) e.sample({kHealths[i]}, sums[i]);
    e.metric("keepwell_service_info", Type::Gauge, "Always 1; what the unit is, in labels.");
    for (const Line& l : lines)
        e.sample({l.service, label("group", l.spec.group), label("kind", to_string(l.spec.kind)),
                  label("unit", l.spec.kind == UnitKind::Systemd ? l.spec.systemd.unit : "")},
                 std::uint64_t{1});
    each(e, lines, "keepwell_service_up", Type::Gauge,
         "Whether its main process is there; of an external unit: whether it is not down.",
         [](const Line& l) { return yes(is_up(l)); });
    e.metric("keepwell_service_health", Type::Gauge, "1 for the present health, else 0.");
    for (const Line& l : lines)
        e.states(l.service, kHealths, static_cast<std::size_t>(l.record.health));
    e.metric("keepwell_service_state", Type::Gauge, "1 for the present state, else 0.");
    for (const Line& l : lines)
        e.states(l.service, kStates, static_cast<std::size_t>(l.record.state));
    each(e, lines, "keepwell_service_desired_state", Type::Gauge,
         "1 when it shall run, 0 when it shall not.",
         [](const Line& l) { return yes(l.record.desired == Desired::Running); });
    each(e, lines, "keepwell_service_paused", Type::Gauge, "Whether healing is paused.",
         [](const Line& l) { return yes(l.record.paused); });
    each(e, lines, "keepwell_service_state_last_change_timestamp_seconds", Type::Gauge,
         "When the state last changed, in Unix time.",
         [](const Line& l) { return time_of(true, l.tally.changed.wall); });
}

void write_processes(Exposition& e, const Lines& lines) {
    const auto sampled = [](const Line& l) { return l.row.figures->process_count > 0; };
    each(e, lines, "keepwell_service_processes", Type::Gauge, "Processes of the whole tree.",
         [&](const Line& l) { return known(l.row.figures->process_count); });
    each(e, lines, "keepwell_service_start_time_seconds", Type::Gauge,
         "When the main process began, in Unix time.",
         [](const Line& l) { return time_of(l.record.main_alive, l.tally.started.wall); });
    e.metric("keepwell_service_cpu_seconds_total", Type::Counter,
             "CPU time of the tree, as seen by the samples.");
    for (const Line& l : lines) {
        e.sample({l.service, "mode=\"user\""}, l.tally.cpu.user);
        e.sample({l.service, "mode=\"system\""}, l.tally.cpu.system);
    }
    e.metric("keepwell_service_memory_bytes", Type::Gauge,
             "Memory of the tree; shared pages count for each process.");
    for (const Line& l : lines)
        if (sampled(l) && l.row.figures->memory_bytes)
            e.sample({l.service, "memtype=\"resident\""}, *l.row.figures->memory_bytes);
    each(e, lines, "keepwell_service_open_fds", Type::Gauge, "Open descriptors of the tree.",
         [](const Line& l) { return l.row.figures->open_fds; });
    each(e, lines, "keepwell_service_threads", Type::Gauge, "Threads of the tree.",
         [](const Line& l) { return l.row.figures->threads; });
}

void write_restarts(Exposition& e, const Lines& lines) {
    each(e, lines, "keepwell_service_last_exit_code", Type::Gauge,
         "How the main process last ended: its code, or 128 and the signal.", exit_code);
    each(e, lines, "keepwell_service_consecutive_failures", Type::Gauge,
         "Failures in a row of the check that has most.",
         [](const Line& l) { return known(failures(l)); });
    each(e, lines, "keepwell_service_backoff_seconds", Type::Gauge,
         "Length of the backoff or cooldown that is waited for; 0 = none.",
         [](const Line& l) { return std::optional(backoff(l)); });
    e.metric("keepwell_service_exits_total", Type::Counter, "Ends of the main process.");
    const auto reasons = labels_of("reason", kExitReasons);
    for (const Line& l : lines)
        for (std::size_t i = 0; i < reasons.size(); ++i)
            e.sample({l.service, reasons[i]}, l.tally.exits[i]);
    e.metric("keepwell_service_restarts_total", Type::Counter,
             "Restarts that have come to an end, by what caused them and how they went.");
    const auto triggers = labels_of("trigger", kTriggers);
    for (const Line& l : lines)
        for (std::size_t i = 0; i < triggers.size(); ++i) {
            const auto& r = l.tally.restarts[i];
            e.sample({l.service, triggers[i], "result=\"success\""}, r.success);
            e.sample({l.service, triggers[i], "result=\"failure\""}, r.failure);
        }
    e.metric("keepwell_service_recovery_duration_seconds", Type::Histogram,
             "From the first sign of trouble until the unit was healthy again.");
    for (const Line& l : lines) e.histogram({l.service}, l.tally.recovery);
}

void write_log_bytes(Exposition& e, const Lines& lines) {
    each(e, lines, "keepwell_log_bytes_total", Type::Counter, "Bytes of output that were logged.",
         [](const Line& l) { return known(l.row.log_bytes); });
    each(e, lines, "keepwell_log_dropped_bytes_total", Type::Counter,
         "Bytes of output that could not be logged and are gone.",
         [](const Line& l) { return known(l.row.log_dropped); });
}

struct CheckLine {
    const CheckSpec& spec;
    const CheckTally& tally;
    bool answered; // in this life of the unit
    std::string labels;
};

template <class F>
void each_check(Exposition& e, const std::vector<CheckLine>& lines, std::string_view name,
                std::string_view help, F value) {
    e.metric(name, Type::Gauge, help);
    for (const CheckLine& l : lines)
        if (const auto v = value(l)) e.sample({l.labels}, *v);
}

std::vector<CheckLine> check_lines(const std::vector<UnitRow>& rows) {
    std::vector<CheckLine> lines;
    for (const UnitRow& r : rows)
        for (std::size_t i = 0; i < r.spec->checks.size() && i < r.tally->checks.size(); ++i) {
            const auto& counters = r.record->checks;
            const CheckSpec& c = r.spec->checks[i];
            lines.push_back({c, r.tally->checks[i], i < counters.size() && counters[i].ran,
                             label("service", r.spec->key) + ',' + label("check", c.id)});
        }
    return lines;
}

} // namespace

void write_units(Exposition& e, const std::vector<UnitRow>& rows) {
    const Lines lines = lines_of(rows);
    write_states(e, lines);
    write_processes(e, lines);
    write_restarts(e, lines);
    write_log_bytes(e, lines);
}

void write_checks(Exposition& e, const std::vector<UnitRow>& rows) {
    const auto lines = check_lines(rows);
    each_check(e, lines, "keepwell_check_success",
               "Whether the last result since the unit's start was no failure.",
               [](const CheckLine& l) {
                   return l.answered ? yes(l.tally.last != CheckOutcome::Fail) : std::nullopt;
               });
    e.metric("keepwell_check_duration_seconds", Type::Histogram,
             "How long runs of the check took.");
    for (const CheckLine& l : lines) e.histogram({l.labels}, l.tally.duration);
    e.metric("keepwell_checks_total", Type::Counter, "Results of the check.");
    const auto results = labels_of("result", kCheckResults);
    for (const CheckLine& l : lines)
        for (std::size_t i = 0; i < results.size(); ++i)
            e.sample({l.labels, results[i]}, l.tally.results[i]);
    each_check(e, lines, "keepwell_check_last_success_timestamp_seconds",
               "When the check last passed, in Unix time.", [](const CheckLine& l) {
                   return time_of(l.tally.passed_at.ms != 0, l.tally.passed_at);
               });
    each_check(e, lines, "keepwell_check_http_status_code",
               "Status of the last answer to an http check.", [](const CheckLine& l) {
                   const bool http = std::holds_alternative<HttpCheckSpec>(l.spec.probe);
                   return http && l.answered && l.tally.code > 0
                              ? known(static_cast<std::uint64_t>(l.tally.code))
                              : std::nullopt;
               });
    each_check(e, lines, "keepwell_check_tls_cert_expiry_timestamp_seconds",
               "When the certificate that an https check last saw ends, in Unix time.",
               [](const CheckLine& l) {
                   return time_of(l.tally.cert_expires_at.ms != 0, l.tally.cert_expires_at);
               });
}

} // namespace keepwell::metrics
