#include "supervisor/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace keepwell::config {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }

struct Scale {
    std::string_view unit;
    double factor;
};

// Nanoseconds of one of each.
constexpr Scale kTimes[] = {{"ms", 1e6},        {"us", 1e3},           {"ns", 1},
                            {"s", 1e9},         {"m", 60 * 1e9},       {"h", 3600 * 1e9},
                            {"d", 86400 * 1e9}, {"w", 7 * 86400 * 1e9}};
constexpr double kLongest = 100 * 365.25 * 86400 * 1e9;

constexpr std::size_t kLongestUnitName = 255; // systemd's own limit
constexpr std::array kUnitTypes = {".service", ".socket", ".timer", ".mount",  ".target",   ".path",
                                   ".slice",   ".scope",  ".swap",  ".device", ".automount"};

// "12", "1.5": digits with at most one point, which stands between digits. Cuts it off `text`.
bool take_number(std::string_view& text, double& value) {
    std::size_t end = 0;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
    if (end == 0 || !is_digit(text[0]) || !is_digit(text[end - 1])) return false;
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + end, value, std::chars_format::fixed);
    if (error != std::errc() || stop != text.data() + end) return false;
    text.remove_prefix(end);
    return true;
}

bool take_time_unit(std::string_view& text, double& factor) {
    for (const Scale& scale : kTimes) {
        if (!text.starts_with(scale.unit)) continue;
        const std::string_view rest = text.substr(scale.unit.size());
        if (!rest.empty() && !is_digit(rest[0])) continue;
        factor = scale.factor;
        text = rest;
        return true;
    }
    return false;
}

bool parse_whole(std::string_view text, std::uint64_t& value, int base = 10) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return !text.empty() && error == std::errc() && stop == text.data() + text.size();
}

} // namespace

std::string quote(std::string_view text) {
    constexpr std::size_t kLongest = 80;
    std::string out = "\"";
    for (const char c : text.substr(0, kLongest)) {
        out += (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) ? '?' : c;
    }
    return out + (text.size() > kLongest ? "…\"" : "\"");
}

Result<Duration> parse_duration(std::string_view text) {
    const auto bad = [&](const char* what) { return Error{quote(text) + what}; };
    if (text.starts_with("-")) return bad(" is negative (a duration is like \"10s\")");
    std::string_view rest = text;
    double total = 0;
    do {
        double value = 0;
        double factor = 0;
        if (!take_number(rest, value) || !take_time_unit(rest, factor)) {
            return bad(" is not a duration (like \"10s\")");
        }
        total += value * factor;
    } while (!rest.empty());
    if (total > kLongest) return bad(" is longer than 100 years");
    return Duration(std::llround(total));
}

Result<std::uint64_t> parse_size(std::string_view text) {
    const auto bad = [&](const char* what) { return Error{quote(text) + what}; };
    if (text.starts_with("-")) return bad(" is negative (a size is like \"64M\")");
    std::string_view rest = text;
    double value = 0;
    if (!take_number(rest, value)) return bad(" is not a size (like \"64M\")");
    std::string_view unit = rest;
    if (unit.ends_with("iB")) unit.remove_suffix(2);
    if (unit == "B" || (unit.size() == 2 && unit.ends_with('B'))) unit.remove_suffix(1);
    constexpr std::string_view kUnits = "KMGTP";
    double factor = 1;
    if (unit.size() == 1 && kUnits.find(unit[0]) != std::string_view::npos) {
        factor = std::pow(1024.0, static_cast<double>(kUnits.find(unit[0]) + 1));
    } else if (!unit.empty() || rest.starts_with("iB")) {
        return bad(" is not a size (like \"64M\")");
    }
    const double total = value * factor;
    if (total >= 9.2e18) return bad(" is too large for a size");
    return static_cast<std::uint64_t>(std::llround(total));
}

Result<std::vector<StatusRange>> parse_status_set(std::string_view text) {
    const Error bad{quote(text) + " is not a set of HTTP codes (like \"200-299,404\")"};
    std::vector<StatusRange> ranges;
    std::string_view rest = text;
    while (true) {
        const std::size_t comma = rest.find(',');
        std::string_view part = rest.substr(0, comma);
        while (part.starts_with(' ')) part.remove_prefix(1);
        while (part.ends_with(' ')) part.remove_suffix(1);
        const std::size_t dash = part.find('-');
        std::uint64_t low = 0;
        if (!parse_whole(part.substr(0, dash), low)) return bad;
        std::uint64_t high = low;
        if (dash != std::string_view::npos && !parse_whole(part.substr(dash + 1), high)) {
            return bad;
        }
        if (low < 100 || high > 599 || low > high) return bad;
        ranges.push_back({static_cast<int>(low), static_cast<int>(high)});
        if (comma == std::string_view::npos) return ranges;
        rest.remove_prefix(comma + 1);
    }
}

Result<std::uint32_t> parse_umask(std::string_view text) {
    std::string_view digits = text;
    if (digits.starts_with("0o")) digits.remove_prefix(2);
    std::uint64_t value = 0;
    if (!parse_whole(digits, value, 8) || value > 0777) {
        return Error{quote(text) + " is not a umask (octal, like \"022\")"};
    }
    return static_cast<std::uint32_t>(value);
}

Status check_host_port(std::string_view text) {
    const Error bad{quote(text) + " is not HOST:PORT (like \"127.0.0.1:5001\")"};
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return bad;
    const std::string_view host = text.substr(0, colon);
    const bool bracketed = host.starts_with('[') && host.ends_with(']');
    if (!bracketed && host.find(':') != std::string_view::npos) return bad;
    if (host.find_first_of(" \t/") != std::string_view::npos) return bad;
    std::uint64_t port = 0;
    if (!parse_whole(text.substr(colon + 1), port) || port > 65535) return bad;
    return Done{};
}

Result<std::string> systemd_unit_name(std::string_view text) {
    const auto is_part = [](char c) {
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool digit = c >= '0' && c <= '9';
        return letter || digit || std::string_view(":-_.\\@*?").find(c) != std::string_view::npos;
    };
    if (text.empty() || !std::ranges::all_of(text, is_part))
        return Error{quote(text) + " is no name of a systemd unit (like \"nginx.service\")"};
    std::string name(text);
    const bool typed =
        std::ranges::any_of(kUnitTypes, [&](const char* type) { return name.ends_with(type); });
    if (!typed) name += ".service";
    if (name.size() > kLongestUnitName)
        return Error{"longer than the 255 bytes that a systemd unit's name can have"};
    return name;
}

Status check_http_url(std::string_view text) {
    const std::string example = " (like \"http://127.0.0.1:8080/health\")";
    std::string_view rest = text;
    if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
    } else {
        return Error{quote(text) + " does not start with http:// or https://" + example};
    }
    std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
    if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
        host.remove_prefix(at + 1);
    }
    const std::size_t colon = host.rfind(':');
    const bool has_port = colon != std::string_view::npos && !host.ends_with(']');
    std::uint64_t port = 1;
    if (has_port && (!parse_whole(host.substr(colon + 1), port) || port < 1 || port > 65535)) {
        return Error{quote(text) + " has no port from 1 to 65535 after the host" + example};
    }
    if (has_port) host = host.substr(0, colon);
    if (host.empty()) return Error{quote(text) + " has no host" + example};
    const bool odd = std::ranges::any_of(
        text, [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; });
    if (odd) return Error{quote(text) + " has a space or control character (write it as %20)"};
    return Done{};
}

bool is_unit_key(std::string_view key) noexcept {
    if (key.empty() || key.size() > 63) return false;
    if (!is_lower(key[0]) && !is_digit(key[0])) return false;
    return std::ranges::all_of(key, [](char c) {
        return is_lower(c) || is_digit(c) || c == '_' || c == '.' || c == ':' || c == '@' ||
               c == '-';
    });
}

bool is_environment_name(std::string_view name) noexcept {
    return !name.empty() && name.find('=') == std::string_view::npos &&
           name.find('\0') == std::string_view::npos;
}

} // namespace keepwell::config
