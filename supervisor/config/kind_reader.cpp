#include "supervisor/config/kind_reader.h"

#include "supervisor/config/values.h"

#include <algorithm>

namespace keepwell::config {
namespace {

constexpr std::int64_t kMostProcesses = 1'000'000'000;

void read_match(Reader& unit, MatchSpec& to) {
    read_patterns(unit, "match", to.match);
    read_patterns(unit, "exclude", to.exclude);
    const Node* match = unit.node().find("match");
    if (match != nullptr && match->kind == NodeKind::Array && match->items.empty())
        unit.error(*match, "an empty list matches nothing (like match = [\"runner.js\"])");
    unit.integer("min", to.min, 1, kMostProcesses);
    std::uint32_t max = 0;
    if (!unit.integer("max", max, 1, kMostProcesses)) return;
    to.max = max;
    if (max < to.min)
        unit.error(*unit.node().find("max"), "less than min, which is " + std::to_string(to.min) +
                                                 " (raise max, or lower min)");
}

void read_log_files(const Node& list, Reader& unit, UnitSpec& spec) {
    for (std::string& file : spec.log_files) {
        if (file.empty())
            unit.error(list, "an empty name is no file (like \"/var/log/nginx/error.log\")");
        file = absolute_path(file, list.where);
    }
}

struct Allowed {
    std::string_view key;
    bool child, pidfile, systemd, match;
    std::string_view belongs; // "belongs to …"
};
constexpr Allowed kAllowed[] = {
    {"start_command", false, true, false, true, "pidfile and match units"},
    {"service", false, true, false, true, "pidfile and match units"},
    {"bus", false, false, true, false, "systemd units"},
    {"exclude", false, false, false, true, "match units"},
    {"min", false, false, false, true, "match units"},
    {"max", false, false, false, true, "match units"},
};

bool allows(const Allowed& a, UnitKind kind) {
    switch (kind) {
    case UnitKind::Child: return a.child;
    case UnitKind::PidFile: return a.pidfile;
    case UnitKind::Systemd: return a.systemd;
    case UnitKind::Match: return a.match;
    case UnitKind::External: return false;
    }
    return false;
}

void add_count_check(UnitSpec& spec, const char* id, std::uint32_t min,
                     std::optional<std::uint32_t> max, CheckEffect effect) {
    CheckSpec check;
    check.id = id;
    if (std::ranges::find(spec.checks, check.id, &CheckSpec::id) != spec.checks.end()) return;
    check.probe = ProcessCheckSpec{spec.match.match, spec.match.exclude, min, max};
    // All of them share one look at /proc, so they may be as prompt as the search for matches.
    check.interval = 2s;
    check.retry_interval = 500ms;
    check.failures = spec.policy.failures;
    check.effect = effect;
    check.heals = effect == CheckEffect::Down;
    spec.checks.push_back(std::move(check));
}

// Too many are told, never acted upon: nobody knows which of them is one too many. Too few are as
// none, also when there were enough: what watches the oldest of them does not see the others go.
void add_count_checks(UnitSpec& spec) {
    const MatchSpec& match = spec.match;
    if (match.min > 1) add_count_check(spec, "min", match.min, std::nullopt, CheckEffect::Down);
    if (match.max) add_count_check(spec, "max", 0, match.max, CheckEffect::Degraded);
}

// Who starts and stops it is the service; nothing is run beside it.
void check_service(Reader& unit, UnitSpec& spec) {
    const Node* at = unit.node().find("service");
    if (at == nullptr || spec.service.empty()) return;
    const bool one =
        spec.service.ends_with(".service") && spec.service.find_first_of("*?") == std::string::npos;
    if (!one && systemd_unit_name(spec.service)) // else it was said already
        unit.error(*at, quote(spec.service) + " is not the name of one service (like \"db\")");
    if (const Node* start = unit.node().find("start_command"))
        unit.error(*start, "the unit has a service too, which starts it (leave out one of them)");
    for (const std::string_view key : {"stop_command", "pre_start"})
        if (const Node* other = unit.node().find(key))
            unit.warning(*other,
                         "has no effect: " + spec.service + " of systemd starts and stops it");
}

// systemd starts these by their unit file, whatever stands here.
void warn_of_systemds_own(Reader& unit) {
    for (const std::string_view key :
         {"stop_command", "reload_command", "pre_start", "umask", "nice", "oom_score_adj", "limits",
          "environment", "env_file", "inherit_environment", "stop", "log"})
        if (const Node* at = unit.node().find(key))
            unit.warning(*at, "has no effect: systemd starts and stops this unit by its unit file");
}

void check_ready_kind(Reader& unit, const UnitSpec& spec) {
    const Node* at = unit.node().find("ready");
    if (at == nullptr || !is_observed(spec.kind)) return;
    if (spec.ready.kind == ReadyKind::Notify || spec.ready.kind == ReadyKind::Log)
        unit.error(*at, "belongs to units with a command (use \"started\" or \"check:ID\")");
}

} // namespace

bool read_systemd_name(Reader& reader, std::string_view key, std::string& to) {
    if (!reader.nonempty_text(key, to)) return false;
    if (const auto whole = systemd_unit_name(to)) {
        to = *whole;
    } else {
        reader.error(*reader.node().find(key), whole.error().message);
    }
    return true;
}

void read_bus(Reader& reader, std::string& to, bool user_run) {
    to = user_run ? "user" : "system";
    reader.nonempty_text("bus", to);
    const Node* bus = reader.node().find("bus");
    if (bus != nullptr && to != "user" && to != "system" && to.find('=') == std::string::npos)
        reader.error(*bus,
                     quote(to) +
                         " is none of system, user and an address (like \"unix:path=/run/…\")");
}

bool read_patterns(Reader& reader, std::string_view key, std::vector<std::string>& to) {
    const Node* found = reader.node().find(key);
    if (found != nullptr && found->is_string()) {
        std::string one;
        if (!reader.nonempty_text(key, one)) return false;
        to = {one};
        return true;
    }
    if (!reader.texts(key, to) || found == nullptr) return false;
    for (const std::string& pattern : to)
        if (pattern.empty()) reader.error(*found, "an empty pattern would match every process");
    return true;
}

void read_kind_keys(Reader& unit, UnitSpec& spec, const Context& context) {
    unit.path("pidfile", spec.pidfile);
    read_bus(unit, spec.systemd.bus, context.user_run);
    read_systemd_name(unit, "systemd", spec.systemd.unit);
    read_match(unit, spec.match);
    read_systemd_name(unit, "service", spec.service);
    if (unit.texts("log_files", spec.log_files))
        read_log_files(*unit.node().find("log_files"), unit, spec);
    if (spec.kind != UnitKind::Systemd) spec.systemd = {};
}

void check_kind_keys(Reader& unit, UnitSpec& spec, bool is_template) {
    for (const Allowed& a : kAllowed) {
        const Node* at = unit.node().find(a.key);
        if (at == nullptr || is_template || allows(a, spec.kind)) continue;
        const bool child = a.key == "start_command" && spec.kind == UnitKind::Child;
        unit.error(*at, "belongs to " + std::string(a.belongs) +
                            (child ? " (command starts this one)" : ""));
    }
    check_ready_kind(unit, spec);
    if (spec.kind == UnitKind::Systemd) {
        if (!is_template) warn_of_systemds_own(unit);
        spec.policy.stop.kill = KillScope::Never; // its own TimeoutStopSec= decides
    }
    if (spec.kind == UnitKind::Match) add_count_checks(spec);
    if (!is_template) check_service(unit, spec);
    const bool startable = !spec.process.start_command.empty() || !spec.service.empty();
    if (spec.kind == UnitKind::Match && !startable) spec.heal = false; // only watched
    if (spec.kind == UnitKind::PidFile && !startable && !is_template)
        unit.warning(*unit.node().find("pidfile"),
                     "without a start_command it can be healed only if it belongs to a systemd "
                     "unit (name it: service = \"NAME\")");
}

} // namespace keepwell::config
