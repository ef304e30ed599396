#include "supervisor/config/check_reader.h"

#include "supervisor/config/host_check_reader.h"
#include "supervisor/config/local_check_reader.h"
#include "supervisor/config/suggest.h"
#include "supervisor/config/values.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace keepwell::config {
namespace {

constexpr std::string_view kTypes[] = {"http", "tcp",     "exec",     "unix",      "process",
                                       "port", "file",    "resource", "heartbeat", "dns",
                                       "log",  "systemd", "host"};
constexpr std::int64_t kManyTimes = 1'000'000;
constexpr Duration kShortestInterval = 10ms;

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string json_string(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string json_number(double value) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.17g", value);
    // The shortest form that reads back as the same number.
    for (int digits = 1; digits < 17; ++digits) {
        char shorter[64];
        std::snprintf(shorter, sizeof shorter, "%.*g", digits, value);
        if (std::strtod(shorter, nullptr) == value) return shorter;
    }
    return buffer;
}

std::string json_text(const Node& node) {
    switch (node.kind) {
    case NodeKind::Boolean: return node.boolean ? "true" : "false";
    case NodeKind::Integer: return std::to_string(node.integer);
    case NodeKind::Float: return std::isfinite(node.number) ? json_number(node.number) : "null";
    case NodeKind::String:
    case NodeKind::Time: return json_string(node.text);
    case NodeKind::Array:
    case NodeKind::Table: break;
    }
    const bool table = node.is_table();
    std::string out = table ? "{" : "[";
    for (const Node& item : node.items) {
        if (out.size() > 1) out += ',';
        if (table) out += json_string(item.key) + ':';
        out += json_text(item);
    }
    return out + (table ? "}" : "]");
}

void read_json(Reader& expect, Pairs& to) {
    const Node* found = expect.table("json");
    if (found == nullptr) return;
    for (const Node& item : found->items) {
        if (!item.key.empty() && !item.key.starts_with('/')) {
            expect.messages().error(item.key_where,
                                    "cannot read " + item.path + ": " + quote(item.key) +
                                        " is not a JSON pointer (like \"/status\")");
            continue;
        }
        to.emplace_back(item.key, json_text(item));
    }
}

bool is_header_text(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// A table of names and texts; NAME_file holds the path of the text.
void read_headers(Reader& reader, std::string_view key, Pairs& to) {
    const Node* found = reader.table(key);
    if (found == nullptr) return;
    Reader headers(*found, reader.messages());
    constexpr std::string_view suffix = "_file";
    for (const Node& item : found->items) {
        std::string name = item.key;
        if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
        std::string value;
        if (!headers.secret(name, value)) continue;
        if (name.empty() || name.find_first_of(": \t\r\n") != std::string::npos ||
            !is_header_text(value)) {
            headers.error(item, "a header is one line, with a name without spaces or colons");
            continue;
        }
        to.emplace_back(std::move(name), std::move(value));
    }
}

void read_expect(Reader& reader, HttpCheckSpec& to) {
    const Node* found = reader.table("expect");
    if (found == nullptr) return;
    Reader expect(*found, reader.messages());
    if (const Node* status = expect.take("status")) {
        const bool number = status->kind == NodeKind::Integer;
        if (!number && !status->is_string()) {
            expect.error(*status, wrong_kind(*status, "HTTP codes", "\"200-299,404\""));
        } else {
            auto set = parse_status_set(number ? std::to_string(status->integer) : status->text);
            if (set) {
                to.expect_status = std::move(*set);
            } else {
                expect.error(*status, set.error().message);
            }
        }
    }
    expect.text("body", to.expect_body);
    read_json(expect, to.expect_json);
    read_headers(expect, "header", to.expect_header);
    expect.finish();
}

void read_tls_keys(Reader& reader, const Node& found, TlsSpec& to) {
    Reader tls(found, reader.messages());
    tls.boolean("verify", to.verify);
    tls.path("ca", to.ca);
    Duration within{};
    if (tls.duration("expires_within", within, 1s)) to.expires_within = within;
    tls.finish();
}

void read_tls(Reader& reader, TlsSpec& to) {
    if (const Node* found = reader.table("tls")) read_tls_keys(reader, *found, to);
}

// true, or a table of what differs from the defaults
void read_tcp_tls(Reader& reader, std::optional<TlsSpec>& to) {
    const Node* found = reader.node().find("tls");
    if (found == nullptr) return;
    if (found->is_table()) {
        read_tls_keys(reader, *reader.table("tls"), to.emplace());
        return;
    }
    bool wanted = false;
    if (reader.boolean("tls", wanted) && wanted) to.emplace();
}

HttpCheckSpec read_http(Reader& reader, CheckSpec& check) {
    HttpCheckSpec http;
    const Node& node = reader.node();
    if (node.find("url") == nullptr && node.find("url_file") == nullptr) {
        reader.missing("url is missing (like url = \"http://127.0.0.1:8080/health\")");
    }
    if (reader.secret("url", http.url)) {
        const Node* direct = node.find("url");
        if (const Status url = check_http_url(http.url); !url) {
            // The text of a secret is not repeated.
            reader.error(direct ? *direct : *node.find("url_file"),
                         direct ? url.error().message
                                : "the file holds no http:// or https:// URL");
        }
    }
    if (reader.nonempty_text("method", http.method) &&
        !std::ranges::all_of(http.method, [](char c) { return c >= 'A' && c <= 'Z'; })) {
        reader.error(*node.find("method"), quote(http.method) + " is not a method (like \"GET\")");
    }
    read_headers(reader, "headers", http.headers);
    reader.secret("body", http.body);
    read_expect(reader, http);
    reader.duration("slow", check.slow, 1ms);
    reader.path("unix_socket", http.unix_socket);
    read_tls(reader, http.tls);
    reader.integer("follow_redirects", http.follow_redirects, 0, 50);
    return http;
}

TcpCheckSpec read_tcp(Reader& reader) {
    TcpCheckSpec tcp;
    if (reader.node().find("port") == nullptr) {
        reader.missing("port is missing (like port = 5432)");
    }
    reader.integer("port", tcp.port, 1, 65535);
    reader.nonempty_text("host", tcp.host);
    reader.text("send", tcp.send);
    reader.text("expect", tcp.expect);
    read_tcp_tls(reader, tcp.tls);
    return tcp;
}

ExecCheckSpec read_exec(Reader& reader, Context& context) {
    ExecCheckSpec exec;
    if (reader.node().find("command") == nullptr) {
        reader.missing(
            "command is missing (like command = [\"/usr/bin/test\", \"-e\", \"/run/ok\"])");
    }
    reader.argv("command", exec.command);
    reader.path("directory", exec.directory);
    int warn = 0;
    if (reader.integer("warn_exit", warn, 1, 255)) exec.warn_exit = warn;
    if (reader.nonempty_text("user", exec.user)) {
        auto user = context.users.find(exec.user);
        if (user) {
            exec.run_as = std::move(*user);
        } else {
            reader.error(*reader.node().find("user"), user.error().message);
        }
    }
    return exec;
}

HeartbeatCheckSpec read_heartbeat(Reader& reader, CheckSpec& check) {
    HeartbeatCheckSpec heartbeat;
    reader.duration("within", heartbeat.within, 100ms);
    // Looked at often enough that a missed beat is seen soon.
    if (reader.node().find("interval") == nullptr)
        check.interval = std::min(check.interval, heartbeat.within / 2);
    check.retry_interval = std::min(check.retry_interval, check.interval);
    return heartbeat;
}

void read_component(Reader& reader, const std::string& fallback, std::optional<ComponentSpec>& to) {
    const Node* found = reader.table("component");
    if (found == nullptr) return;
    Reader component(*found, reader.messages());
    ComponentSpec spec;
    spec.name = fallback;
    component.nonempty_text("name", spec.name);
    component.one_of<ComponentStyle>("style",
                                     {{"bool", ComponentStyle::Bool},
                                      {"updown", ComponentStyle::UpDown},
                                      {"operational", ComponentStyle::Operational}},
                                     spec.style);
    component.finish();
    to = std::move(spec);
}

void read_common(Reader& reader, const std::string& component, CheckSpec& to) {
    reader.duration("interval", to.interval, kShortestInterval);
    to.retry_interval = std::min<Duration>(to.interval, 2s);
    reader.duration("timeout", to.timeout, 1ms);
    if (reader.duration("retry_interval", to.retry_interval, kShortestInterval)) {
        to.retry_interval = std::min(to.retry_interval, to.interval);
    }
    reader.integer("failures", to.failures, 1, kManyTimes);
    reader.integer("successes", to.successes, 1, kManyTimes);
    reader.duration("grace", to.grace);
    reader.one_of<CheckEffect>("effect",
                               {{"down", CheckEffect::Down},
                                {"degraded", CheckEffect::Degraded},
                                {"unknown", CheckEffect::Unknown},
                                {"none", CheckEffect::None}},
                               to.effect);
    reader.boolean("heals", to.heals);
    reader.boolean("enabled", to.enabled);
    reader.texts("blames", to.blames);
    read_component(reader, component, to.component);
    const Node* timeout = reader.node().find("timeout");
    if (timeout != nullptr && to.timeout > to.interval) {
        reader.warning(*timeout, "the timeout is longer than the interval, so a hanging check "
                                 "runs less often than asked (lower it, or raise interval)");
    }
}

template <class Names>
bool contains(const Names& names, std::string_view name) {
    return std::ranges::find(names, name) != std::end(names);
}

// The type of a check, or "" when it has none we know; says why.
std::string type_of(Reader& reader, const Node& check) {
    std::string type = check.key;
    const Node* said = reader.take("type");
    if (said != nullptr) {
        if (!said->is_string()) {
            reader.error(*said, wrong_kind(*said, "a string"));
            return "";
        }
        type = said->text;
    }
    if (contains(kTypes, type)) return type;
    const std::vector<std::string> known(std::begin(kTypes), std::end(kTypes));
    if (said != nullptr) {
        reader.error(*said, "no check type named " + quote(type) + did_you_mean(type, known));
    } else {
        reader.missing("type is missing (like type = \"http\"), since " + quote(type) +
                       " is not the name of a type" + did_you_mean(type, known));
    }
    return "";
}

bool is_check_id(std::string_view id) { return is_unit_key(id); }

std::optional<CheckSpec> read_check(const Node& said, const Node& merged, const UnitSpec& unit,
                                    Context& context) {
    Reader reader(merged, context.messages);
    if (!is_check_id(said.key)) {
        reader.missing(
            "a check ID is 1 to 63 of a-z 0-9 _ . : @ - and starts with a letter or digit");
    }
    const std::string type = type_of(reader, said);
    if (type.empty()) return std::nullopt;
    CheckSpec check;
    check.id = said.key;
    check.failures = unit.policy.failures;
    check.successes = unit.policy.successes;
    read_common(reader, unit.key, check);
    if (type == "http") check.probe = read_http(reader, check);
    if (type == "tcp") check.probe = read_tcp(reader);
    if (type == "exec") check.probe = read_exec(reader, context);
    if (type == "heartbeat") check.probe = read_heartbeat(reader, check);
    if (type == "unix") check.probe = read_unix(reader);
    if (type == "process") check.probe = read_process_check(reader);
    if (type == "port") check.probe = read_port(reader);
    if (type == "file") check.probe = read_file(reader);
    if (type == "resource") check.probe = read_resource(reader);
    if (type == "dns") check.probe = read_dns(reader);
    if (type == "log") check.probe = read_log_check(reader, check);
    if (type == "systemd") check.probe = read_systemd_check(reader, context.user_run);
    if (type == "host") check.probe = read_host(reader, check);
    reader.finish();
    return check;
}

} // namespace

void validate_check_defaults(const Node& defaults, Messages& messages) {
    Reader reader(defaults, messages);
    CheckSpec ignored;
    read_common(reader, "check", ignored);
    reader.finish();
}

std::vector<CheckSpec> read_checks(const Node& checks, const Node* defaults, const UnitSpec& unit,
                                   Context& context) {
    std::vector<CheckSpec> specs;
    for (const Node& item : checks.items) {
        if (!item.is_table()) {
            context.messages.error(
                item.where, "cannot read " + item.path + ": " +
                                wrong_kind(item, "a table", "{ type = \"tcp\", port = 80 }"));
            continue;
        }
        Node merged = defaults == nullptr ? item : *defaults;
        if (defaults != nullptr) {
            merge(merged, item);
            merged.path = item.path;
            merged.key = item.key;
        }
        if (auto check = read_check(item, merged, unit, context))
            specs.push_back(std::move(*check));
    }
    return specs;
}

} // namespace keepwell::config
