#include "supervisor/status/host_metrics.h"

#include "supervisor/status/json_writer.h"
#include "supervisor/status/service_json.h"

#include <algorithm>

namespace keepwell::status_detail {

namespace {

constexpr std::size_t kSteps = 60;

std::optional<double> share(std::uint64_t part, std::uint64_t whole) {
    if (whole == 0) return std::nullopt;
    return round_to(static_cast<double>(part) * 100 / static_cast<double>(whole), 100);
}

std::uint64_t memory_used(const HostMetrics& m) {
    return m.memory_total - std::min(m.memory_available, m.memory_total);
}

std::optional<double> cpu_percent(const HostMetrics& m) {
    if (m.cpu_count == 0) return std::nullopt; // never sampled
    return round_to(m.cpu_percent, 100);
}
std::optional<double> memory_percent(const HostMetrics& m) {
    return share(memory_used(m), m.memory_total);
}
std::optional<double> disk_percent(const DiskFigures& d) { return share(d.used, d.used + d.free); }

// The fullest; the first of what was configured when none could be looked at.
DiskFigures fullest(const std::vector<DiskFigures>& disks) {
    if (disks.empty()) return {};
    return *std::ranges::max_element(
        disks, {}, [](const DiskFigures& d) { return disk_percent(d).value_or(-1); });
}

std::string_view word(std::optional<double> percent, const Threshold<double>& limit) {
    if (!percent) return {};
    if (*percent >= limit.critical) return "critical";
    return *percent >= limit.warning ? "warning" : "ok";
}

void write_status(JsonWriter& w, std::optional<double> percent, const Threshold<double>& limit) {
    w.key("status");
    if (!percent)
        w.null();
    else
        w.value(word(percent, limit));
}

void write_disk(JsonWriter& w, const DiskFigures& d, const Threshold<double>& limit) {
    w.begin_object();
    w.member("total", d.total);
    w.member("used", d.used);
    w.member("free", d.free);
    w.member("percent", disk_percent(d));
    w.member("path", foreign(d.path));
    write_status(w, disk_percent(d), limit);
}

void write_disks(JsonWriter& w, const HostMetrics& m, const Threshold<double>& limit) {
    w.key("disk");
    write_disk(w, fullest(m.disks), limit);
    w.key("paths").begin_array();
    for (const DiskFigures& d : m.disks) {
        write_disk(w, d, limit);
        w.end_object();
    }
    w.end_array().end_object();
}

void write_parts(JsonWriter& w, const HostMetrics& m, const MetricsSpec& limits) {
    w.key("cpu").begin_object();
    w.member("percent", cpu_percent(m));
    w.member("count", m.cpu_count);
    w.key("load_average").begin_array();
    for (const double load : m.load) w.value(round_to(load, 100));
    w.end_array();
    write_status(w, cpu_percent(m), limits.cpu);
    w.end_object();
    w.key("memory").begin_object();
    w.member("total", m.memory_total);
    w.member("available", m.memory_available);
    w.member("used", memory_used(m));
    w.member("percent", memory_percent(m));
    write_status(w, memory_percent(m), limits.memory);
    w.end_object();
    write_disks(w, m, limits.disk);
}

void write_network(JsonWriter& w, const HostMetrics& m) {
    w.member("bytes_sent", m.net_sent);
    w.member("bytes_recv", m.net_received);
    w.member("packets_sent", m.net_packets_sent);
    w.member("packets_recv", m.net_packets_received);
}

std::optional<double> rate(std::uint64_t before, std::uint64_t now, double seconds) {
    if (now < before || seconds <= 0) return std::nullopt;
    return round_to(static_cast<double>(now - before) / seconds, 10);
}

} // namespace

void HostHistory::add(const HostMetrics& m, WallTime now, double step_s) {
    if (step_s != step_s_) steps_.clear();
    StepValues step{cpu_percent(m), memory_percent(m), disk_percent(fullest(m.disks)), {}, {}};
    if (!steps_.empty()) {
        const double since = static_cast<double>(now.ms - last_at_.ms) / 1000;
        step.rx = rate(last_.net_received, m.net_received, since);
        step.tx = rate(last_.net_sent, m.net_sent, since);
    }
    steps_.push_back(step);
    if (steps_.size() > kSteps) steps_.pop_front();
    last_ = m;
    last_at_ = now;
    step_s_ = step_s;
}

std::string HostHistory::json(const HostMetrics& m, const MetricsSpec& limits) const {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    write_parts(w, m, limits);
    w.key("network").begin_object();
    write_network(w, m);
    w.member("rx_bytes_per_s", steps_.empty() ? std::nullopt : steps_.back().rx);
    w.member("tx_bytes_per_s", steps_.empty() ? std::nullopt : steps_.back().tx);
    w.end_object();
    w.key("history").begin_object();
    w.member("step_s", step_s_);
    const auto series = [&](std::string_view name, std::optional<double> StepValues::*field) {
        w.key(name).begin_array();
        for (const auto& step : steps_) w.value(step.*field);
        w.end_array();
    };
    series("cpu_percent", &StepValues::cpu);
    series("memory_percent", &StepValues::memory);
    series("disk_percent", &StepValues::disk);
    series("network_rx_bytes_per_s", &StepValues::rx);
    series("network_tx_bytes_per_s", &StepValues::tx);
    w.end_object().end_object();
    return out;
}

std::string status_words(const HostMetrics& m, const MetricsSpec& limits) {
    std::string words(word(cpu_percent(m), limits.cpu));
    words.append(" ").append(word(memory_percent(m), limits.memory));
    for (const DiskFigures& d : m.disks)
        words.append(" ").append(word(disk_percent(d), limits.disk));
    return words;
}

std::string host_metrics_json(const HostMetrics& m, const MetricsSpec& limits) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    write_parts(w, m, limits);
    w.key("network").begin_object();
    write_network(w, m);
    w.end_object().end_object();
    return out;
}

} // namespace keepwell::status_detail
