#include "supervisor/api/target.h"

namespace keepwell::api {

namespace {

std::optional<unsigned> hex_digit(char c) {
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
    return std::nullopt;
}

std::optional<std::string> decode(std::string_view raw, bool plus_is_space) {
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] != '%') {
            out += plus_is_space && raw[i] == '+' ? ' ' : raw[i];
            continue;
        }
        if (i + 2 >= raw.size()) return std::nullopt;
        const auto high = hex_digit(raw[i + 1]);
        const auto low = hex_digit(raw[i + 2]);
        if (!high || !low) return std::nullopt;
        out += static_cast<char>(*high * 16 + *low);
        i += 2;
    }
    return out;
}

// The front up to the separator, which is dropped with it.
std::string_view take(std::string_view& rest, char separator) {
    const auto end = rest.find(separator);
    const auto front = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return front;
}

} // namespace

std::optional<Target> parse_target(std::string_view raw) {
    std::string_view path = take(raw, '?');
    if (path.empty() || path.front() != '/') return std::nullopt;
    path.remove_prefix(1);
    Target target;
    bool more = true;
    while (more) {
        more = path.find('/') != std::string_view::npos;
        auto segment = decode(take(path, '/'), false);
        if (!segment) return std::nullopt;
        target.segments.push_back(std::move(*segment));
    }
    while (!raw.empty()) {
        std::string_view pair = take(raw, '&');
        const auto key = decode(take(pair, '='), true);
        auto value = decode(pair, true);
        if (!key || !value) return std::nullopt;
        if (!key->empty()) target.query[*key] = std::move(*value);
    }
    return target;
}

bool is_name(std::string_view segment) noexcept {
    return !segment.empty() && segment.find('/') == std::string_view::npos &&
           segment.find('\0') == std::string_view::npos &&
           segment.find("..") == std::string_view::npos;
}

} // namespace keepwell::api
