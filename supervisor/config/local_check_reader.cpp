#include "supervisor/config/local_check_reader.h"

#include "supervisor/config/kind_reader.h"
#include "supervisor/config/values.h"

#include <sys/un.h>

#include <cstdint>

namespace keepwell::config {
namespace {

constexpr std::int64_t kMany = 1'000'000'000;
constexpr double kMostCpu = 1'000'000;

bool has_processes(UnitKind kind) {
    switch (kind) {
    case UnitKind::Child:
    case UnitKind::PidFile:
    case UnitKind::Systemd:
    case UnitKind::Match: return true;
    case UnitKind::External: return false;
    }
    return false;
}

bool has_log(const UnitSpec& spec) { // that keepwell writes or knows of
    if (!spec.log_files.empty()) return true;
    switch (spec.kind) {
    case UnitKind::Child: return spec.log.mode != LogMode::None;
    case UnitKind::Systemd:              // the journal
    case UnitKind::PidFile: return true; // the service it belongs to, or what its start said
    case UnitKind::Match:
    case UnitKind::External: return false;
    }
    return false;
}

// Why the check can never tell anything of this unit, and what to do; empty when it can.
std::string what_is_lacking(const UnitSpec& spec, const CheckSpec& check) {
    const auto* port = std::get_if<PortCheckSpec>(&check.probe);
    const bool own = port != nullptr && port->own;
    if ((own || std::holds_alternative<ResourceCheckSpec>(check.probe)) &&
        !has_processes(spec.kind))
        return std::string("the unit has no processes of its own (it has no command); ") +
               (own ? "remove own" : "use a host check");
    if (!std::holds_alternative<LogCheckSpec>(check.probe)) return {};
    if (has_log(spec)) return {};
    if (spec.kind == UnitKind::Child)
        return "log.mode is \"none\", so no line will ever be seen (use mode = \"pipe\")";
    return "keepwell knows of no log of this unit (name its files, like log_files = "
           "[\"/var/log/nginx/error.log\"])";
}

} // namespace

UnixCheckSpec read_unix(Reader& reader) {
    UnixCheckSpec spec;
    if (reader.node().find("path") == nullptr)
        reader.missing("path is missing (like path = \"/run/php/php-fpm.sock\")");
    if (reader.path("path", spec.path) && spec.path.size() >= sizeof(sockaddr_un::sun_path))
        reader.error(*reader.node().find("path"),
                     "longer than the 107 bytes that a socket's path can have");
    reader.text("send", spec.send);
    reader.text("expect", spec.expect);
    return spec;
}

ProcessCheckSpec read_process_check(Reader& reader) {
    ProcessCheckSpec spec;
    read_patterns(reader, "match", spec.match);
    read_patterns(reader, "exclude", spec.exclude);
    const Node* match = reader.node().find("match");
    if (match == nullptr || (match->kind == NodeKind::Array && match->items.empty()))
        reader.missing("match is missing (like match = \"nginx: master\")");
    reader.integer("min", spec.min, 0, kMany);
    std::uint32_t max = 0;
    if (reader.integer("max", max, 0, kMany)) {
        spec.max = max;
        if (max < spec.min)
            reader.error(*reader.node().find("max"), "less than min, which is " +
                                                         std::to_string(spec.min) +
                                                         " (raise max, or lower min)");
    }
    return spec;
}

PortCheckSpec read_port(Reader& reader) {
    PortCheckSpec spec;
    if (reader.node().find("port") == nullptr) reader.missing("port is missing (like port = 5000)");
    reader.integer("port", spec.port, 1, 65535);
    reader.one_of<PortExpect>("expect", {{"bound", PortExpect::Bound}, {"free", PortExpect::Free}},
                              spec.expect);
    reader.boolean("own", spec.own);
    if (spec.own && spec.expect == PortExpect::Free)
        reader.error(*reader.node().find("own"),
                     "a free port belongs to nobody (remove own, or expect = \"free\")");
    return spec;
}

FileCheckSpec read_file(Reader& reader) {
    FileCheckSpec spec;
    if (reader.node().find("path") == nullptr)
        reader.missing("path is missing (like path = \"/var/backups/last.tar\")");
    reader.path("path", spec.path);
    Duration age{};
    if (reader.duration("max_age", age, 1ms)) spec.max_age = age;
    std::uint64_t size = 0;
    if (reader.size("max_size", size)) spec.max_size = size;
    reader.text("contains", spec.contains);
    reader.boolean("writable", spec.writable);
    return spec;
}

ResourceCheckSpec read_resource(Reader& reader) {
    ResourceCheckSpec spec;
    double cpu = 0;
    if (reader.number("cpu", cpu, 0, kMostCpu)) spec.cpu = cpu;
    std::uint64_t memory = 0;
    if (reader.size("memory", memory)) spec.memory = memory;
    const auto count = [&](std::string_view key, std::optional<std::uint64_t>& to) {
        std::uint64_t value = 0;
        if (reader.integer(key, value, 0, kMany)) to = value;
    };
    count("fds", spec.fds);
    count("threads", spec.threads);
    count("children", spec.children);
    reader.duration("for", spec.hold);
    bool any = false;
    for (const std::string_view key : {"cpu", "memory", "fds", "threads", "children"})
        any = any || reader.node().find(key) != nullptr;
    if (!any) reader.missing("no limit is given (like memory = \"500M\" or cpu = 90)");
    return spec;
}

void check_kind_of_checks(Reader& unit, const UnitSpec& spec) {
    const Node* checks = unit.node().find("check");
    if (checks == nullptr) return;
    for (const CheckSpec& check : spec.checks) {
        const std::string lacking = what_is_lacking(spec, check);
        const Node* at = checks->find(check.id);
        if (!lacking.empty() && at != nullptr) unit.error(*at, lacking);
    }
}

} // namespace keepwell::config
