#include "supervisor/import/monit_checks.h"

#include "supervisor/config/values.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

// What a daemon says first, or answers to a harmless question.
struct Greeting {
    std::string_view protocol, send, expect;
};
constexpr Greeting kGreetings[] = {
    {"ssh", "", "SSH-"},
    {"smtp", "", "220"},
    {"smtps", "", "220"},
    {"ftp", "", "220"},
    {"imap", "", "* OK"},
    {"imaps", "", "* OK"},
    {"pop", "", "+OK"},
    {"pops", "", "+OK"},
    {"redis", "PING\r\n", "PONG"},
    {"memcache", "version\r\n", "VERSION"},
};

constexpr std::uint64_t kMostWindow = 64;
constexpr std::uint64_t kMostFailures = 1'000'000;
constexpr std::uint64_t kMostRestarts = 10'000'000;

bool is_http(const MonitConnection& c) {
    return c.protocol == "http" || c.protocol == "https" || !c.request.empty() || !c.status.empty();
}

std::string local(const std::string& host) {
    return host.empty() || host == "localhost" ? "127.0.0.1" : host;
}

std::optional<std::string> seconds_of(const MonitAmount& amount) {
    constexpr std::uint64_t kMost = 100'000'000;
    const auto value = whole_number(amount.number);
    if (!value || *value > kMost) return std::nullopt;
    const std::uint64_t factor = amount.unit.starts_with("minute") ? 60
                                 : amount.unit.starts_with("hour") ? 3600
                                 : amount.unit.starts_with("day")  ? 86400
                                                                   : 1;
    if (*value * factor == 0 || *value > kMost / factor) return std::nullopt;
    return seconds_text(*value * factor);
}

// "300.0 mb", "4 kilobyte"
std::optional<std::string> bytes_of(const MonitAmount& amount) {
    std::string unit = amount.unit;
    if (unit.ends_with("byte") && unit.size() > 4) unit = unit.substr(0, 1);
    return size_text(amount.number + unit);
}

} // namespace

void MonitChecks::cannot(const MonitRule& rule, const std::string& why) {
    notes_.cannot(rule.place, rule.text, why);
}

void MonitChecks::add_all() {
    for (const MonitRule& rule : service_.rules) add(rule);
}

void MonitChecks::add(const MonitRule& rule) {
    switch (rule.test) {
    case MonitTest::Restarts: restarts(rule); return;
    case MonitTest::Absent: absent(rule); return;
    case MonitTest::Resource: resource(rule); return;
    case MonitTest::Age:
    case MonitTest::Size: file(rule); return;
    case MonitTest::Exit: program(rule); return;
    case MonitTest::Connection: connection(rule); return;
    }
}

void MonitChecks::restarts(const MonitRule& rule) {
    const bool gives_up = rule.action == MonitAction::Unmonitor || rule.action == MonitAction::Stop;
    if (!gives_up || !is_process() || rule.restarts > kMostRestarts ||
        rule.cycles > kMostRestarts) {
        cannot(rule, "keepwell tells each restart (see notify)");
    } else if (unit_.has("budget")) {
        cannot(rule, "a unit has one budget");
    } else {
        TomlTable budget;
        budget.set("restarts", toml::number(rule.restarts));
        budget.set("within", toml::text(seconds_text(rule.cycles * cycle_s_)));
        budget.set("then", toml::text("stop"));
        unit_.set("budget", budget.inlined());
    }
}

void MonitChecks::absent(const MonitRule& rule) {
    const bool usual = rule.action == MonitAction::Restart || rule.action == MonitAction::Start;
    const bool waits = rule.rate.failures > 1 || rule.rate.of > 0;
    if (is_process() && !usual && service_.start)
        cannot(rule, "keepwell starts again what has ended (heal = false only watches)");
    if (is_process() && usual && waits)
        cannot(rule, "keepwell sees an end at once and waits only as its backoff says");
}

void MonitChecks::common(const MonitRule& rule, TomlTable& keys) {
    if (service_.every > 1) {
        const std::string interval =
            seconds_text(std::min<std::uint64_t>(service_.every, 100'000) * cycle_s_);
        keys.set("interval", toml::text(interval));
        keys.set("retry_interval", toml::text(interval));
    }
    if (rule.rate.failures > 1 && rule.rate.failures <= kMostFailures)
        keys.set("failures", toml::number(rule.rate.failures));
    if (rule.rate.of > 0 && rule.rate.of <= kMostWindow && !unit_.has("window")) {
        unit_.set("window", "{ failures = " + toml::number(rule.rate.failures) +
                                ", of = " + toml::number(rule.rate.of) + " }");
    } else if (rule.rate.of > 0 && rule.rate.of > kMostWindow) {
        cannot(rule, "a window has at most 64 results; it counts failures in a row");
    }
    switch (rule.action) {
    case MonitAction::Restart:
    case MonitAction::Start: return;
    case MonitAction::Alert:
        if (is_process()) keys.set("heals", toml::boolean(false));
        keys.set("effect", toml::text("degraded"));
        return;
    case MonitAction::Stop:
    case MonitAction::Unmonitor:
    case MonitAction::Exec: break;
    }
    if (is_process()) keys.set("heals", toml::boolean(false));
    cannot(rule, rule.action == MonitAction::Exec
                     ? "the check is there but runs nothing (see ladder, { exec = [...] })"
                     : "the check is there, but no check makes keepwell give up");
}

void MonitChecks::set(const std::string& type, const MonitRule& rule, TomlTable keys) {
    common(rule, keys);
    set_check(unit_, type, keys);
}

void MonitChecks::resource(const MonitRule& rule) {
    if (!is_process()) {
        cannot(rule, "only processes have it");
        return;
    }
    TomlTable keys;
    const auto whole = whole_number(rule.amount.number);
    std::string name = rule.resource;
    if (name.starts_with("total ")) name = name.substr(6);
    if (name == "cpu" && whole) {
        keys.set("cpu", toml::number(std::min<std::uint64_t>(*whole, kMostFailures)));
        cannot(rule, "it counts as percent of one processor, of the whole tree");
    } else if (name == "memory") {
        const auto bytes = bytes_of(rule.amount);
        if (rule.amount.unit == "%" || !bytes) {
            cannot(rule, "memory is a size, not a share (say check.resource.memory = \"500M\")");
            return;
        }
        keys.set("memory", toml::text(*bytes));
    } else if (whole && *whole <= kMostFailures && name != "cpu") {
        keys.set(name == "filedescriptors" ? "fds" : name, toml::number(*whole));
    } else {
        cannot(rule, shortened(rule.amount.number) + " is no whole number that fits here");
        return;
    }
    set("resource", rule, keys);
}

void MonitChecks::file(const MonitRule& rule) {
    const bool has_path = service_.type == "file" || service_.type == "directory";
    const bool age = rule.test == MonitTest::Age;
    const auto value = age ? seconds_of(rule.amount) : bytes_of(rule.amount);
    if (!has_path || !value || !rule.amount.comparison.starts_with(">")) {
        cannot(rule, "keepwell has no such check");
        return;
    }
    TomlTable keys;
    keys.set("path", toml::text(service_.path));
    keys.set(age ? "max_age" : "max_size", toml::text(*value));
    set("file", rule, keys);
}

void MonitChecks::program(const MonitRule& rule) {
    const auto words = split_words(service_.path);
    const bool nonzero = rule.amount.comparison == "!=" ||
                         (rule.amount.comparison == ">" && rule.amount.number == "0");
    if (service_.type != "program" || !nonzero || rule.amount.number != "0" ||
        unit_.has("check.exec")) {
        cannot(rule, "an exec check fails with every exit code but 0");
        return;
    }
    if (!words || words->empty() || (*words)[0].empty()) {
        cannot(rule, !words ? words.error().message : "it names no program");
        return;
    }
    TomlTable keys;
    keys.set("command", toml::texts(*words));
    if (!service_.user.empty()) keys.set("user", toml::text(service_.user));
    if (service_.timeout_s > 0) keys.set("timeout", toml::text(seconds_text(service_.timeout_s)));
    set("exec", rule, keys);
}

void MonitChecks::connection(const MonitRule& rule) {
    const MonitConnection& c = rule.connection;
    if (c.udp) {
        cannot(rule, "keepwell has no check over UDP");
        return;
    }
    for (const std::string& word : c.ignored)
        cannot(rule, "the check is there without " + shortened(word));
    TomlTable keys;
    if (!c.unix_path.empty() && !is_http(c)) {
        constexpr std::size_t kLongestSocket = 107;
        if (c.unix_path.size() > kLongestSocket) {
            cannot(rule, "the path is longer than that of a socket can be");
            return;
        }
        keys.set("path", toml::text(c.unix_path));
        if (!c.protocol.empty())
            cannot(rule, "of " + shortened(c.protocol) + " only the connection");
        if (c.timeout_s > 0) keys.set("timeout", toml::text(seconds_text(c.timeout_s)));
        set("unix", rule, keys);
        return;
    }
    const bool web = is_http(c);
    if (web) http(rule, keys);
    if (!web && !tcp(rule, keys)) return;
    if (web && !keys.has("url")) return;
    if (c.certificate_days > 0 && c.certificate_days < 36500)
        keys.set("tls", "{ expires_within = " +
                            toml::text(std::to_string(c.certificate_days) + "d") + " }");
    if (c.timeout_s > 0) keys.set("timeout", toml::text(seconds_text(c.timeout_s)));
    set(web ? "http" : "tcp", rule, keys);
}

std::string MonitChecks::status_set(const MonitRule& rule) {
    const MonitConnection& c = rule.connection;
    if (c.status.empty()) return "100-399"; // what monit takes for well
    const auto number = whole_number(c.status);
    if (number && *number >= 100 && *number <= 599) {
        if (c.status_operator.empty() || c.status_operator == "=" || c.status_operator == "==")
            return c.status;
        if (c.status_operator == "<" && *number > 100) return "100-" + std::to_string(*number - 1);
        if (c.status_operator == "<=") return "100-" + c.status;
    }
    cannot(rule, "keepwell has no such set of codes; it expects 100-399");
    return "100-399";
}

void MonitChecks::http(const MonitRule& rule, TomlTable& keys) {
    const MonitConnection& c = rule.connection;
    const bool secure = c.tls || c.protocol == "https";
    const std::string host = local(c.host.empty() ? service_.address : c.host);
    std::string path = c.request.empty() ? "/" : c.request;
    if (!path.starts_with('/')) path.insert(0, "/");
    std::string url = secure ? "https://" : "http://";
    url += host.find(':') == std::string::npos || host.starts_with('[') ? host : "[" + host + "]";
    if (!c.port.empty() && c.port != (secure ? "443" : "80")) url += ":" + c.port;
    url += path;
    if (const Status good = config::check_http_url(url); !good) {
        cannot(rule, good.error().message);
        return;
    }
    keys.set("url", toml::text(url));
    if (!c.unix_path.empty()) keys.set("unix_socket", toml::text(c.unix_path));
    const bool capital = std::ranges::all_of(c.method, [](char x) { return x >= 'A' && x <= 'Z'; });
    if (!c.method.empty() && capital && c.method != "GET") keys.set("method", toml::text(c.method));
    TomlTable expect;
    expect.set("status", toml::text(status_set(rule)));
    if (!c.content.empty()) expect.set("body", toml::text(c.content));
    keys.set("expect", expect.inlined());
    if (!c.send.empty() || !c.expect.empty())
        cannot(rule, "the check is there without send and expect");
}

bool MonitChecks::tcp(const MonitRule& rule, TomlTable& keys) {
    const MonitConnection& c = rule.connection;
    const auto port = whole_number(c.port);
    if (!port || *port < 1 || *port > 65535) {
        cannot(rule, c.port.empty() ? "it says no port" : shortened(c.port) + " is no port");
        return false;
    }
    const std::string host = local(c.host.empty() ? service_.address : c.host);
    if (host != "127.0.0.1") keys.set("host", toml::text(host));
    keys.set("port", toml::number(*port));
    const auto* greeting = std::ranges::find(kGreetings, c.protocol, &Greeting::protocol);
    if (!c.send.empty() || !c.expect.empty()) {
        if (!c.send.empty()) keys.set("send", toml::text(c.send));
        if (!c.expect.empty()) keys.set("expect", toml::text(c.expect));
        cannot(rule, "send and expect are plain text here, not escapes and expressions");
    } else if (greeting != std::end(kGreetings)) {
        if (!greeting->send.empty()) keys.set("send", toml::text(greeting->send));
        keys.set("expect", toml::text(greeting->expect));
    } else if (!c.protocol.empty() && c.protocol != "default") {
        cannot(rule, "of " + shortened(c.protocol) + " only the connection");
    }
    if (c.tls ||
        (c.protocol.ends_with('s') && greeting != std::end(kGreetings) && c.protocol != "redis"))
        keys.set("tls", toml::boolean(true));
    return true;
}

} // namespace keepwell::importer
