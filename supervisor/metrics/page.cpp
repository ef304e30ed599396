#include "supervisor/metrics/page.h"

#include "supervisor/metrics/page_parts.h"

#include <algorithm>
#include <fmt/format.h>

namespace keepwell::metrics {

namespace {

// A generous guess; a page that is larger grows.
constexpr std::size_t kFewBytes = 32U << 10, kUnitBytes = 6U << 10;

void time_gauge(Exposition& e, std::string_view name, std::string_view help, WallTime t) {
    e.metric(name, Type::Gauge, help);
    if (t.ms != 0) e.sample({}, unix_seconds(t));
}

void write_keepwell(Exposition& e, const PageInput& in) {
    e.metric("keepwell_build_info", Type::Gauge, "Always 1; the version is a label.");
    e.sample({label("version", in.version)}, std::uint64_t{1});
    time_gauge(e, "keepwell_start_time_seconds", "When the supervisor began, in Unix time.",
               in.started_at);
    e.metric("keepwell_config_last_reload_successful", Type::Gauge,
             "Whether the configuration was good when it was last read.");
    e.flag({}, in.reload_ok);
    time_gauge(e, "keepwell_config_last_reload_success_timestamp_seconds",
               "When a good configuration was last read, in Unix time.", in.reloaded_at);
    time_gauge(e, "keepwell_status_file_last_write_timestamp_seconds",
               "When status.json was last written, in Unix time.", in.status_written_at);
    e.metric("keepwell_status_file_write_errors_total", Type::Counter,
             "Writes of status.json that failed.");
    e.sample({}, in.status_errors);
    e.metric("keepwell_loop_lag_seconds", Type::Histogram,
             "How long the supervisor's loop was busy or late, one value a turn.");
    if (in.loop_lag != nullptr) e.histogram({}, *in.loop_lag);
}

void write_requests(Exposition& e, const ApiCounters& api) {
    e.metric("keepwell_http_requests_total", Type::Counter,
             "Requests that were answered, by route, method and status.");
    for (const auto& [kind, count] : api.requests)
        e.sample({label("handler", kind.handler), label("method", kind.method),
                  fmt::format("code=\"{}\"", kind.code)},
                 count);
    e.metric("keepwell_http_request_duration_seconds", Type::Histogram,
             "From a request's headers to its answer; waiting for news counts.");
    for (const auto& [handler, histogram] : api.durations)
        e.histogram({label("handler", handler)}, histogram);
    e.metric("keepwell_http_requests_rejected_total", Type::Counter,
             "Requests that were turned away: too large, another host, no token.");
    for (const auto& [reason, count] : api.rejected) e.sample({label("reason", reason)}, count);
    e.metric("keepwell_sse_clients", Type::Gauge, "Event streams that are open.");
    e.sample({}, api.sse_clients);
    e.metric("keepwell_sse_events_dropped_total", Type::Counter,
             "Events that slow readers of a stream did not get.");
    e.sample({}, api.sse_events_dropped);
}

double ratio(std::uint64_t part, std::uint64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
}

void write_host(Exposition& e, const HostMetrics& h) {
    e.metric("keepwell_host_cpu_usage_ratio", Type::Gauge,
             "Share of all cores that was busy between the last two samples.");
    if (h.cpu_count > 0) e.sample({}, h.cpu_percent / 100);
    e.metric("keepwell_host_memory_used_ratio", Type::Gauge,
             "Share of the memory that is not available.");
    if (h.memory_total > 0)
        e.sample({}, ratio(h.memory_total - std::min(h.memory_available, h.memory_total),
                           h.memory_total));
    e.metric("keepwell_host_disk_used_ratio", Type::Gauge,
             "Share of the space behind a path of supervisor.metrics.paths that is used.");
    for (const DiskFigures& d : h.disks)
        if (d.total > 0 && d.used + d.free > 0)
            e.sample({label("mountpoint", d.path)}, ratio(d.used, d.used + d.free));
    if (h.cpu_count == 0) return; // never sampled
    e.metric("keepwell_host_network_receive_bytes_total", Type::Counter,
             "Bytes received on all interfaces but lo.");
    e.sample({}, h.net_received);
    e.metric("keepwell_host_network_transmit_bytes_total", Type::Counter,
             "Bytes sent on all interfaces but lo.");
    e.sample({}, h.net_sent);
}

// The names that every program with Prometheus metrics has, so without our prefix.
void write_self(Exposition& e, const SelfFigures& s) {
    if (s.start_time == 0) return; // never sampled
    e.metric("process_cpu_seconds_total", Type::Counter,
             "User and system CPU time of the supervisor.");
    e.sample({}, s.cpu_seconds);
    e.metric("process_open_fds", Type::Gauge, "Open descriptors of the supervisor.");
    if (s.open_fds) e.sample({}, *s.open_fds);
    e.metric("process_max_fds", Type::Gauge, "Most descriptors that the supervisor may open.");
    if (s.max_fds) e.sample({}, *s.max_fds);
    e.metric("process_virtual_memory_bytes", Type::Gauge, "Virtual memory of the supervisor.");
    e.sample({}, s.virtual_bytes);
    e.metric("process_resident_memory_bytes", Type::Gauge, "Resident memory of the supervisor.");
    e.sample({}, s.resident_bytes);
    e.metric("process_start_time_seconds", Type::Gauge,
             "When the supervisor's process began, in Unix time.");
    e.sample({}, s.start_time);
}

} // namespace

std::string write_page(const PageInput& in) {
    std::string out;
    out.reserve(kFewBytes + in.units.size() * kUnitBytes); // growing would copy megabytes
    Exposition e(out);
    write_keepwell(e, in);
    write_units(e, in.units);
    write_checks(e, in.units);
    if (in.api != nullptr) write_requests(e, *in.api);
    if (in.host != nullptr) write_host(e, *in.host);
    if (in.self != nullptr) write_self(e, *in.self);
    return out;
}

} // namespace keepwell::metrics
