#include "supervisor/config/host_check_reader.h"

#include "supervisor/config/kind_reader.h"
#include "supervisor/config/pattern.h"
#include "supervisor/config/values.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace keepwell::config {
namespace {

constexpr double kMostLoad = 10'000;
constexpr std::size_t kLongestName = 253;

// As inet_ntop writes it; empty for what is no address.
std::string address_text(int family, const std::string& text) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    std::array<char, INET6_ADDRSTRLEN> shown{};
    if (inet_pton(family, text.c_str(), bytes.data()) != 1) return {};
    return inet_ntop(family, bytes.data(), shown.data(), shown.size()) != nullptr ? shown.data()
                                                                                  : "";
}
bool is_address(const std::string& text) {
    return !address_text(AF_INET, text).empty() || !address_text(AF_INET6, text).empty();
}

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port != 0;
}

// "1.2.3.4", "1.2.3.4:53", "::1", "[::1]", "[::1]:53"
bool is_name_server(const std::string& text) {
    if (is_address(text)) return true;
    const auto colon = text.rfind(':');
    const bool bracket = text.starts_with('[');
    const auto end = bracket ? text.find(']') : colon;
    if (end == std::string::npos) return false;
    const std::string host = bracket ? text.substr(1, end - 1) : text.substr(0, end);
    const int family = bracket ? AF_INET6 : AF_INET;
    const std::string rest = text.substr(bracket ? end + 1 : end);
    if (bracket && rest.empty()) return !address_text(family, host).empty();
    return !address_text(family, host).empty() && rest.starts_with(':') && is_port(rest.substr(1));
}

void read_expected(Reader& reader, DnsCheckSpec& spec) {
    if (!reader.nonempty_text("expect", spec.expect)) return;
    const bool v4 = spec.record == DnsRecord::A;
    if (!v4 && spec.record != DnsRecord::Aaaa) return;
    const std::string address = address_text(v4 ? AF_INET : AF_INET6, spec.expect);
    if (address.empty()) {
        reader.error(*reader.node().find("expect"),
                     quote(spec.expect) + (v4 ? " is no IPv4 address" : " is no IPv6 address") +
                         ", and record is " + (v4 ? "\"A\"" : "\"AAAA\"") +
                         " (write an address, or another record)");
        return;
    }
    spec.expect = address;
}

void read_expression(Reader& reader, std::string_view key, std::string& to) {
    if (!reader.nonempty_text(key, to)) return;
    if (const Status good = check_redaction(to); !good)
        reader.error(*reader.node().find(key), good.error().message);
}

// 90, { path = "/var", max = 90, free = "1G" } or an array of such tables
void read_disk(Reader& reader, const Node& node, bool bytes, std::vector<DiskLimit>& to) {
    Reader table(node, reader.messages());
    DiskLimit limit;
    table.path("path", limit.path);
    double max = 0;
    if (table.number("max", max, 0, 100)) limit.max = max;
    std::uint64_t free = 0;
    if (bytes && table.size("free", free)) limit.free = free;
    if (node.find("max") == nullptr && (!bytes || node.find("free") == nullptr))
        table.missing(bytes ? "no limit is given (like max = 90 or free = \"1G\")"
                            : "no limit is given (like max = 90)");
    table.finish();
    to.push_back(std::move(limit));
}

void read_disks(Reader& reader, std::string_view key, bool bytes, std::vector<DiskLimit>& to) {
    const Node* found = reader.node().find(key);
    if (found == nullptr) return;
    if (found->is_table()) {
        read_disk(reader, *reader.take(key), bytes, to);
        return;
    }
    if (found->kind != NodeKind::Array) {
        double max = 0;
        if (reader.number(key, max, 0, 100)) to.push_back({"/", max, std::nullopt});
        return;
    }
    for (const Node& item : reader.take(key)->items) {
        if (item.is_table())
            read_disk(reader, item, bytes, to);
        else
            reader.error(item, wrong_kind(item, "a table", "{ path = \"/var\", max = 90 }"));
    }
}

void read_limit(Reader& reader, std::string_view key, std::optional<double>& to, double most) {
    double value = 0;
    if (reader.number(key, value, 0, most)) to = value;
}

void read_pressure(Reader& reader, HostCheckSpec& to) {
    const Node* found = reader.table("pressure");
    if (found == nullptr) return;
    Reader pressure(*found, reader.messages());
    read_limit(pressure, "cpu", to.cpu_pressure, 100);
    read_limit(pressure, "memory", to.memory_pressure, 100);
    read_limit(pressure, "io", to.io_pressure, 100);
    if (found->items.empty()) pressure.missing("no limit is given (like io = 40)");
    pressure.finish();
}

} // namespace

DnsCheckSpec read_dns(Reader& reader) {
    DnsCheckSpec spec;
    if (reader.node().find("name") == nullptr)
        reader.missing("name is missing (like name = \"db.example\")");
    if (reader.nonempty_text("name", spec.name) &&
        (spec.name.size() > kLongestName ||
         spec.name.find_first_of(std::string_view(" \t\r\n\0/", 6)) != std::string::npos))
        reader.error(*reader.node().find("name"),
                     quote(spec.name) + " is not a name (like \"db.example\")");
    if (reader.nonempty_text("server", spec.server) && !is_name_server(spec.server))
        reader.error(*reader.node().find("server"),
                     quote(spec.server) +
                         " is not the address of a name server (like \"192.0.2.53\", "
                         "\"192.0.2.53:5353\" or \"[2001:db8::53]:53\")");
    reader.one_of<DnsRecord>("record",
                             {{"A", DnsRecord::A},
                              {"AAAA", DnsRecord::Aaaa},
                              {"CNAME", DnsRecord::Cname},
                              {"MX", DnsRecord::Mx},
                              {"TXT", DnsRecord::Txt},
                              {"SRV", DnsRecord::Srv},
                              {"NS", DnsRecord::Ns},
                              {"PTR", DnsRecord::Ptr}},
                             spec.record);
    read_expected(reader, spec);
    return spec;
}

LogCheckSpec read_log_check(Reader& reader, CheckSpec& check) {
    LogCheckSpec spec;
    read_expression(reader, "bad", spec.bad);
    read_expression(reader, "good", spec.good);
    reader.duration("within", spec.within, 1ms);
    const Node& node = reader.node();
    const Node* good = node.find("good");
    const Node* within = node.find("within");
    if (node.find("bad") == nullptr && good == nullptr)
        reader.missing("neither bad nor good is given (like bad = \"FATAL|panic\", or good = "
                       "\"job done\" with within = \"1h\")");
    if (good != nullptr && within == nullptr)
        reader.error(*good, "within is missing: how old the last such line may be (like within = "
                            "\"10m\")");
    if (good == nullptr && within != nullptr)
        reader.error(*within, "belongs to good, which is missing (add good, or remove within)");
    // A line that is looked for is there once; nobody would write it three runs in a row.
    if (node.find("bad") != nullptr && node.find("failures") == nullptr) check.failures = 1;
    return spec;
}

SystemdCheckSpec read_systemd_check(Reader& reader, bool user_run) {
    SystemdCheckSpec spec;
    constexpr std::array<std::string_view, 7> known = {
        "active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance"};
    if (reader.node().find("unit") == nullptr)
        reader.missing("unit is missing (like unit = \"nginx.service\")");
    read_systemd_name(reader, "unit", spec.unit);
    if (reader.texts("states", spec.states)) {
        const Node& states = *reader.node().find("states");
        if (spec.states.empty()) reader.error(states, "no state would ever be right");
        for (const std::string& state : spec.states)
            if (std::ranges::find(known, state) == known.end())
                reader.error(states, quote(state) + " is no state of systemd (active, reloading, "
                                                    "inactive, failed, activating, deactivating "
                                                    "or maintenance)");
    }
    read_bus(reader, spec.bus, user_run);
    return spec;
}

HostCheckSpec read_host(Reader& reader, CheckSpec& check) {
    HostCheckSpec spec;
    read_disks(reader, "disk", true, spec.disk);
    read_disks(reader, "inodes", false, spec.inodes);
    read_limit(reader, "memory", spec.memory, 100);
    read_limit(reader, "swap", spec.swap, 100);
    read_limit(reader, "load", spec.load, kMostLoad);
    read_pressure(reader, spec);
    reader.duration("for", spec.hold);
    bool any = false;
    for (const std::string_view key : {"disk", "inodes", "memory", "swap", "load", "pressure"})
        any = any || reader.node().find(key) != nullptr;
    if (!any) reader.missing("no limit is given (like disk = 90 or memory = 95)");
    // No restart empties a disk.
    if (reader.node().find("heals") == nullptr) check.heals = false;
    return spec;
}

} // namespace keepwell::config
