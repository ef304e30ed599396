// Foreign and numeric values as the short texts of results: clean_text, display_url, durations.
#include "watchers/text.h"

#include "watchers/check_scheduler.h"

#include <array>

namespace keepwell {

namespace {

struct CodePoint {
    char32_t value = 0;
    std::size_t length = 0; // 0 = not valid UTF-8 here
};

// Strict: no overlong forms, no surrogates, nothing above U+10FFFF.
CodePoint decode(std::string_view s) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return {lead, 1};
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || s.size() < length) return {};
    char32_t value = lead & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80) return {};
        value = (value << 6) | (byte(i) & 0x3FU);
    }
    static constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return {};
    return {value, length};
}

bool is_space(char32_t c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029;
}
// Control characters, and the marks that reorder or hide text on a terminal or a web page.
bool is_hostile(char32_t c) noexcept {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF ||
           (c >= 0xFFF9 && c <= 0xFFFB);
}

std::size_t authority_start(std::string_view url) noexcept {
    const auto scheme = url.find("://");
    return scheme == std::string_view::npos ? 0 : scheme + 3;
}
std::size_t authority_end(std::string_view url, std::size_t start) noexcept {
    const auto end = url.find_first_of("/?#\\", start);
    return end == std::string_view::npos ? url.size() : end;
}

} // namespace

std::string clean_text(std::string_view raw, std::size_t limit) {
    static constexpr std::string_view replacement = "\xEF\xBF\xBD";
    std::string out;
    bool gap = false;
    while (!raw.empty()) {
        const CodePoint c = decode(raw);
        const std::string_view piece = c.length == 0 ? replacement : raw.substr(0, c.length);
        raw.remove_prefix(c.length == 0 ? 1 : c.length);
        if (c.length != 0 && is_space(c.value)) {
            gap = !out.empty();
            continue;
        }
        if (c.length != 0 && is_hostile(c.value)) continue;
        if (out.size() + piece.size() + (gap ? 1 : 0) > limit) break;
        if (gap) out += ' ';
        gap = false;
        out += piece;
    }
    return out;
}

std::string last_line(std::string_view output, std::size_t limit) {
    while (!output.empty()) {
        const auto end = output.find_last_of("\r\n");
        const auto line = end == std::string_view::npos ? output : output.substr(end + 1);
        std::string text = clean_text(line, limit);
        if (!text.empty() || end == std::string_view::npos) return text;
        output = output.substr(0, end);
    }
    return {};
}

std::string display_url(const std::string& url) {
    const auto start = authority_start(url);
    const auto at = url.substr(start, authority_end(url, start) - start).rfind('@');
    if (at == std::string::npos) return clean_text(url, 2048);
    return clean_text(url.substr(0, start) + url.substr(start + at + 1), 2048);
}

std::string url_host(const std::string& url) {
    const auto start = authority_start(url);
    std::string host = url.substr(start, authority_end(url, start) - start);
    if (const auto at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
    if (host.starts_with('[')) {
        const auto close = host.find(']');
        return clean_text(host.substr(1, close == std::string::npos ? close : close - 1), 253);
    }
    return clean_text(host.substr(0, host.find(':')), 253);
}

std::string display_statuses(const std::vector<StatusRange>& ranges) {
    std::string out;
    for (const auto& range : ranges) {
        if (!out.empty()) out += ',';
        out += std::to_string(range.low);
        if (range.high != range.low) out += '-' + std::to_string(range.high);
    }
    return out;
}

std::string short_duration(Duration d) {
    using namespace std::chrono;
    const auto ms = duration_cast<milliseconds>(d).count();
    if (ms < 1000) return std::to_string(ms) + "ms";
    const auto tenths = ms / 100;
    std::string out = std::to_string(tenths / 10);
    if (tenths % 10 != 0) out += '.' + std::to_string(tenths % 10);
    return out + "s";
}

} // namespace keepwell
