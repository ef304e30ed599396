#include "supervisor/config/supervisor_reader.h"

#include "supervisor/config/api_reader.h"
#include "supervisor/config/defaults.h"
#include "supervisor/config/expand.h"
#include "supervisor/config/values.h"

namespace keepwell::config {
namespace {

constexpr Duration kLeastMinutes = 1h, kLeastHours = 24h;
constexpr std::uint64_t kLeastHistory = 1ULL << 20;

void read_folder(Reader& reader, std::string_view key, std::string& to) {
    std::string value;
    if (!reader.nonempty_text(key, value)) return;
    if (!value.starts_with('/')) {
        reader.error(*reader.node().find(key),
                     quote(value) + " is relative (write the whole path)");
        return;
    }
    while (value.size() > 1 && value.ends_with('/')) value.pop_back();
    to = std::move(value);
}

void read_log_level(Reader& reader, std::string& to) {
    constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warning", "error"};
    std::size_t level = 0;
    const bool given = reader.one_of<std::size_t>(
        "log_level",
        {{kLevels[0], 0}, {kLevels[1], 1}, {kLevels[2], 2}, {kLevels[3], 3}, {kLevels[4], 4}},
        level);
    if (given) to = kLevels[level];
}

// { warning, critical }: either may be left out, and the two must be in order.
template <class T, class Read>
void read_threshold(Reader& metrics, std::string_view key, Threshold<T>& to, std::string_view order,
                    const Read& read) {
    const Node* found = metrics.table(key);
    if (found == nullptr) return;
    Reader reader(*found, metrics.messages());
    Threshold<T> value = to;
    const bool warning = read(reader, "warning", value.warning);
    const bool critical = read(reader, "critical", value.critical);
    if (reader.finish() != 0) return;
    const auto usable = [&](const char* name, bool taken) {
        return taken || found->find(name) == nullptr;
    };
    if (!usable("warning", warning) || !usable("critical", critical)) return;
    if (value.critical < value.warning) return metrics.error(*found, std::string(order));
    to = value;
}

void read_percent(Reader& metrics, std::string_view key, Threshold<double>& to) {
    read_threshold(metrics, key, to, "critical is below warning (raise critical)",
                   [](Reader& reader, std::string_view name, double& value) {
                       return reader.number(name, value, 0.0, 100.0);
                   });
}

void read_disk_paths(Reader& metrics, std::vector<std::string>& to) {
    std::vector<std::string> paths;
    if (!metrics.texts("paths", paths)) return;
    for (const Node& item : metrics.node().find("paths")->items) {
        if (!item.text.starts_with('/'))
            metrics.error(item, quote(item.text) + " is relative (write the whole path)");
    }
    to = std::move(paths);
}

void read_metrics(Reader& supervisor, MetricsSpec& to) {
    const Node* found = supervisor.table("metrics");
    if (found == nullptr) return;
    Reader metrics(*found, supervisor.messages());
    metrics.duration("interval", to.interval, 100ms);
    metrics.duration("per_unit", to.per_unit, 100ms);
    read_percent(metrics, "cpu", to.cpu);
    read_percent(metrics, "memory", to.memory);
    read_percent(metrics, "disk", to.disk);
    read_threshold(metrics, "response", to.response,
                   "critical is shorter than warning (raise critical)",
                   [](Reader& reader, std::string_view name, Duration& value) {
                       return reader.duration(name, value, 1ms);
                   });
    read_disk_paths(metrics, to.paths);
    metrics.finish();
}

void read_history(Reader& supervisor, HistorySpec& to) {
    const Node* found = supervisor.table("history");
    if (found == nullptr) return;
    Reader history(*found, supervisor.messages());
    history.boolean("enabled", to.enabled);
    history.duration("minute", to.minute, kLeastMinutes);
    history.duration("hour", to.hour, kLeastHours);
    std::uint64_t size = to.max_size;
    if (history.size("max_size", size)) {
        if (size < kLeastHistory)
            history.error(*found->find("max_size"), "is less than 1M (give it at least 1M)");
        else
            to.max_size = size;
    }
    if (history.finish() == 0 && to.hour < to.minute)
        history.error(*found->find(found->find("hour") != nullptr ? "hour" : "minute"),
                      "hour is shorter than minute (raise hour)");
}

void read_table(const Node& table, SupervisorSpec& to, Messages& messages) {
    Reader reader(table, messages);
    read_folder(reader, "runtime_dir", to.runtime_dir);
    read_folder(reader, "state_dir", to.state_dir);
    read_folder(reader, "log_dir", to.log_dir);
    read_folder(reader, "status_file", to.status_file);
    reader.duration("status_interval", to.status_interval, 100ms);
    read_listen(reader, to.listen);
    read_log_level(reader, to.log_level);
    reader.boolean("dry_run", to.dry_run);
    reader.integer("max_parallel_starts", to.max_parallel_starts, 1, 10'000);
    reader.integer("restarts_per_minute", to.restarts_per_minute, 0, 1'000'000);
    reader.number("health_threshold", to.health_threshold, 0.0, 1.0);
    read_api(reader, to);
    check_listen(reader, to);
    read_metrics(reader, to.metrics);
    read_history(reader, to.history);
    reader.finish();
}

} // namespace

SupervisorSpec read_supervisor(const Node* table, const LoadOptions& options, Messages& messages) {
    SupervisorSpec spec = default_supervisor(options.user_run);
    if (table != nullptr) read_table(*table, spec, messages);
    if (spec.status_file.empty()) spec.status_file = spec.runtime_dir + "/status.json";
    if (const auto file = from_environment("KEEPWELL_STATUS_FILE"); file && !file->empty()) {
        spec.status_file = *file;
    }
    if (!options.status_file.empty()) spec.status_file = options.status_file;
    spec.dry_run = spec.dry_run || options.dry_run;
    return spec;
}

} // namespace keepwell::config
