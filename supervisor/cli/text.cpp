#include "supervisor/cli/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace keepwell::cli {

namespace {

struct Rune {
    char32_t code = 0;
    std::size_t bytes = 1;
    bool valid = false;
};

Rune decode(std::string_view s) {
    const auto lead = static_cast<unsigned char>(s[0]);
    if (lead < 0x80) return {lead, 1, true};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || s.size() < length) return {lead, 1, false};
    auto code = static_cast<char32_t>(lead & (0xFF >> (length + 1)));
    for (std::size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(s[i]);
        if ((next & 0xC0) != 0x80) return {lead, 1, false};
        code = (code << 6) | (next & 0x3FU);
    }
    constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < smallest[length] || code > 0x10FFFF || surrogate) return {lead, 1, false};
    return {code, length, true};
}

// Characters that change how a terminal shows what stands around them.
bool steers_terminal(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x202A && c <= 0x202E) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F || c == 0x2028 ||
           c == 0x2029 || c == 0xFEFF;
}

int rune_width(char32_t c) {
    const bool zero = (c >= 0x300 && c <= 0x36F) || (c >= 0x200B && c <= 0x200D) ||
                      (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0x20D0 && c <= 0x20FF);
    if (zero) return 0;
    const bool wide = (c >= 0x1100 && c <= 0x115F) || (c >= 0x2E80 && c <= 0xA4CF) ||
                      (c >= 0xAC00 && c <= 0xD7A3) || (c >= 0xF900 && c <= 0xFAFF) ||
                      (c >= 0xFE30 && c <= 0xFE6F) || (c >= 0xFF00 && c <= 0xFF60) ||
                      (c >= 0xFFE0 && c <= 0xFFE6) || (c >= 0x1F300 && c <= 0x1FAFF) ||
                      (c >= 0x20000 && c <= 0x3FFFD);
    return wide ? 2 : 1;
}

std::string format(const char* pattern, double value) {
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), pattern, value);
    return buffer.data();
}

// One decimal below ten, none above, and never "2.0".
std::string short_number(double value) {
    std::string out = format(value < 9.95 ? "%.1f" : "%.0f", value);
    if (out.ends_with(".0")) out.resize(out.size() - 2);
    return out;
}

std::size_t colour_sequence(std::string_view s) { // length of ESC [ … m, or 0
    if (s.size() < 3 || s[0] != '\x1b' || s[1] != '[') return 0;
    std::size_t i = 2;
    while (i < s.size() && (s[i] == ';' || s[i] == ':' || (s[i] >= '0' && s[i] <= '9'))) ++i;
    return i < s.size() && s[i] == 'm' ? i + 1 : 0;
}

std::tm local(std::int64_t ms) {
    const auto seconds = static_cast<std::time_t>(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    return parts;
}

} // namespace

std::string safe_text(std::string_view raw, bool line) {
    std::string out;
    out.reserve(raw.size());
    while (!raw.empty()) {
        const Rune rune = decode(raw);
        if (rune.valid && rune.code == '\t') {
            out += line ? ' ' : '\t';
        } else if (rune.valid && !steers_terminal(rune.code)) {
            out.append(raw.substr(0, rune.bytes));
        } else {
            std::array<char, 16> escape{};
            const char* pattern = rune.code > 0xFF ? "\\u%04x" : "\\x%02x";
            std::snprintf(escape.data(), escape.size(), pattern, static_cast<unsigned>(rune.code));
            out += escape.data();
        }
        raw.remove_prefix(rune.bytes);
    }
    return out;
}

std::string safe_log_line(std::string_view raw) {
    std::string plain;
    plain.reserve(raw.size());
    while (!raw.empty()) {
        if (const std::size_t skip = colour_sequence(raw)) {
            raw.remove_prefix(skip);
            continue;
        }
        plain += raw.front();
        raw.remove_prefix(1);
    }
    if (plain.ends_with('\r')) plain.pop_back();
    return safe_text(plain, false);
}

int display_width(std::string_view utf8) {
    int width = 0;
    while (!utf8.empty()) {
        const Rune rune = decode(utf8);
        width += rune_width(rune.code);
        utf8.remove_prefix(rune.bytes);
    }
    return width;
}

std::string fit(std::string_view utf8, int width, const Style& style) {
    if (display_width(utf8) <= width) return std::string(utf8);
    const std::string_view ellipsis = style.utf8 ? "…" : "~";
    if (width < 1) return {};
    std::string out;
    int used = 0;
    while (!utf8.empty()) {
        const Rune rune = decode(utf8);
        used += rune_width(rune.code);
        if (used > width - 1) break;
        out.append(utf8.substr(0, rune.bytes));
        utf8.remove_prefix(rune.bytes);
    }
    out += ellipsis;
    return out;
}

std::string pad(std::string text, int width) {
    const int missing = width - display_width(text);
    if (missing > 0) text.append(static_cast<std::size_t>(missing), ' ');
    return text;
}

std::string wrap(std::string_view text, int indent, int width) {
    std::string out;
    int column = indent;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        const int wide = display_width(word);
        if (column > indent && column + 1 + wide > width) {
            out += "\n" + std::string(static_cast<std::size_t>(indent), ' ');
            column = indent;
        }
        if (column > indent) {
            out += ' ';
            ++column;
        }
        out += word;
        column += wide;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::string paint(std::string_view text, Colour colour, const Style& style) {
    if (!style.colour || text.empty()) return std::string(text);
    const char* code = "";
    switch (colour) {
    case Colour::None: return std::string(text);
    case Colour::Green: code = "32"; break;
    case Colour::Yellow: code = "33"; break;
    case Colour::Red: code = "31"; break;
    case Colour::Cyan: code = "36"; break;
    case Colour::Blue: code = "34"; break;
    case Colour::Dim: code = "2"; break;
    case Colour::Bold: code = "1"; break;
    }
    return std::string("\x1b[") + code + "m" + std::string(text) + "\x1b[0m";
}

std::string symbol(std::string_view utf8, char ascii, const Style& style) {
    if (!style.terminal) return {};
    return style.utf8 ? std::string(utf8) : std::string(1, ascii);
}

std::string human_age(double seconds) {
    const auto total = static_cast<std::int64_t>(std::max(0.0, seconds));
    const std::int64_t days = total / 86400;
    const std::int64_t hours = total / 3600 % 24;
    const std::int64_t minutes = total / 60 % 60;
    const auto two = [](std::int64_t a, const char* unit, std::int64_t b, const char* part) {
        std::string out = std::to_string(a) + unit;
        if (b > 0) out += " " + std::to_string(b) + part;
        return out;
    };
    if (days > 0) return two(days, "d", hours, "h");
    if (hours > 0) return two(hours, "h", minutes, "m");
    if (minutes > 0) return two(minutes, "m", total % 60, "s");
    return std::to_string(total) + "s";
}

std::string human_seconds(double seconds) {
    if (seconds < 0.095) return short_number(seconds * 1000) + " ms";
    if (seconds < 119.5) return short_number(seconds) + " s";
    if (seconds < 7200) return short_number(seconds / 60) + " m";
    return short_number(seconds / 3600) + " h";
}

std::string human_bytes(double bytes) {
    const char* units = "BKMGTP";
    while (bytes >= 1023.5 && units[1] != '\0') {
        bytes /= 1024;
        ++units;
    }
    return short_number(bytes) + *units;
}

std::string human_ms(double ms) {
    return ms < 1000 ? short_number(ms) + " ms" : short_number(ms / 1000) + " s";
}

std::string failure_text(const std::string& what, const std::string& why) {
    return why.starts_with("cannot ") ? why : what + ": " + why;
}

std::string plural(std::uint64_t n, std::string_view one) {
    std::string out = std::to_string(n) + " " + std::string(one);
    if (n != 1) out += 's';
    return out;
}

std::optional<std::int64_t> duration_ms(std::string_view text) {
    const std::size_t digits = text.find_first_not_of("0123456789");
    if (digits == 0 || digits == std::string_view::npos || digits > 9) return std::nullopt;
    const std::int64_t number = std::stoll(std::string(text.substr(0, digits)));
    const std::string_view unit = text.substr(digits);
    if (unit == "ms") return number;
    if (unit == "s") return number * 1000;
    if (unit == "m") return number * 60'000;
    if (unit == "h") return number * 3'600'000;
    if (unit == "d") return number * 86'400'000;
    return std::nullopt;
}

std::optional<std::int64_t> parse_time(std::string_view text) {
    std::tm parts{};
    std::array<char, 2> zone{};
    double seconds = 0;
    const std::string copy(text);
    if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%lf%1[Zz]", &parts.tm_year, &parts.tm_mon,
                    &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &seconds, zone.data()) != 7) {
        return std::nullopt;
    }
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    return static_cast<std::int64_t>(timegm(&parts)) * 1000 + std::llround(seconds * 1000);
}

std::string clock_text(std::int64_t ms, bool with_milliseconds) {
    const std::tm parts = local(ms);
    std::array<char, 32> buffer{};
    const auto rest = static_cast<int>((ms % 1000 + 1000) % 1000);
    if (with_milliseconds) {
        std::snprintf(buffer.data(), buffer.size(), "%02d:%02d:%02d.%03d", parts.tm_hour,
                      parts.tm_min, parts.tm_sec, rest);
    } else {
        std::snprintf(buffer.data(), buffer.size(), "%02d:%02d:%02d", parts.tm_hour, parts.tm_min,
                      parts.tm_sec);
    }
    return buffer.data();
}

std::string date_text(std::int64_t ms) {
    const std::tm parts = local(ms);
    std::array<char, 32> buffer{};
    std::strftime(buffer.data(), buffer.size(), "%Y-%m-%d", &parts);
    return buffer.data();
}

} // namespace keepwell::cli
