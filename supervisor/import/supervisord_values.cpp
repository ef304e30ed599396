#include "supervisor/import/supervisord_values.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::size_t kWidest = 20;
constexpr std::size_t kMostPairs = 5000; // more than a process can be given

bool is_variable(std::string_view name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
    return std::ranges::all_of(name, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

struct Expression {
    std::string name;
    std::string_view format; // "s", "d", "02d"
    std::size_t length = 0;  // of the whole, 0 when it is none
};

// %(name)02d at the start of `text`.
Expression expression_at(std::string_view text) {
    if (!text.starts_with("%(")) return {};
    const std::size_t close = text.find(')');
    if (close == std::string_view::npos) return {};
    const std::size_t type = text.find_first_not_of("0123456789", close + 1);
    if (type == std::string_view::npos || (text[type] != 's' && text[type] != 'd')) return {};
    return {std::string(text.substr(2, close - 2)), text.substr(close + 1, type - close), type + 1};
}

std::string padded(std::uint64_t number, std::string_view format) {
    std::string digits = std::to_string(number);
    const bool zero = format.starts_with('0') && format.ends_with('d');
    format.remove_suffix(1);
    const std::size_t width = std::min<std::size_t>(whole_number(format).value_or(0), kWidest);
    if (digits.size() < width) digits.insert(0, width - digits.size(), zero ? '0' : ' ');
    return digits;
}

} // namespace

std::optional<std::string> Expressions::value(const std::string& name,
                                              std::string_view format) const {
    if (name == "process_num" && instances_) return "{instance}";
    if (const auto number = numbers_.find(name); number != numbers_.end())
        return padded(number->second, format);
    if (const auto text = texts_.find(name); text != texts_.end())
        return escape_dollars(text->second);
    if (const auto text = defined_.find(name); text != defined_.end()) return text->second;
    constexpr std::string_view kEnvironment = "ENV_";
    if (!name.starts_with(kEnvironment)) return std::nullopt;
    const std::string variable = name.substr(kEnvironment.size());
    if (!is_variable(variable)) return std::nullopt;
    return "${" + variable + "}";
}

std::string Expressions::expand(std::string_view raw, const Place& place, const std::string& what,
                                Notes& notes) const {
    std::string out;
    std::string plain;
    const auto flush = [&] {
        out += escape_dollars(plain);
        plain.clear();
    };
    for (std::size_t i = 0; i < raw.size();) {
        const Expression found = expression_at(raw.substr(i));
        if (found.length > 0) {
            flush();
            if (const auto text = value(found.name, found.format)) {
                out += *text;
            } else {
                const std::string as_is(raw.substr(i, found.length));
                notes.cannot(place, shortened(as_is) + " in " + what,
                             "keepwell has no such value (write it out)");
                out += escape_dollars(as_is);
            }
            i += found.length;
            continue;
        }
        const bool doubled = raw.substr(i).starts_with("%%");
        plain += raw[i];
        i += doubled ? 2 : 1;
    }
    flush();
    return out;
}

NumberUse uses_process_num(std::string_view raw) {
    NumberUse use = NumberUse::None;
    for (std::size_t i = raw.find('%'); i != std::string_view::npos; i = raw.find('%', i + 1)) {
        const Expression found = expression_at(raw.substr(i));
        if (found.name != "process_num") continue;
        if (found.format.size() > 1) return NumberUse::Padded;
        use = NumberUse::Plain;
    }
    return use;
}

Pairs split_pairs(std::string_view text, const Place& place, const std::string& what,
                  Notes& notes) {
    Pairs pairs;
    std::string_view rest = trimmed(text);
    while (!rest.empty() && pairs.size() < kMostPairs) {
        const std::size_t equals = rest.find('=');
        std::string name(trimmed(rest.substr(0, equals)));
        if (equals == std::string_view::npos || name.empty()) {
            notes.cannot(place, what, shortened(rest) + " is not like NAME=\"value\"");
            break;
        }
        rest = trimmed(rest.substr(equals + 1));
        const char quote = rest.empty() ? '\0' : rest[0];
        std::string value;
        if (quote == '"' || quote == '\'') {
            const std::size_t end = rest.find(quote, 1);
            if (end == std::string_view::npos) {
                notes.cannot(place, what + " " + name,
                             std::string("the quote ") + quote + " is not closed");
                break;
            }
            value = rest.substr(1, end - 1);
            rest = trimmed(rest.substr(end + 1));
        } else {
            const std::size_t end = std::min(rest.find_first_of(",\n"), rest.size());
            value = trimmed(rest.substr(0, end));
            rest = rest.substr(end);
        }
        pairs.emplace_back(std::move(name), std::move(value));
        while (!rest.empty() && (rest[0] == ',' || rest[0] == '\n')) rest = trimmed(rest.substr(1));
    }
    return pairs;
}

std::optional<bool> truth(std::string_view word) {
    const std::string small = lower(trimmed(word));
    for (const std::string_view yes : {"true", "yes", "on", "1", "t", "y"})
        if (small == yes) return true;
    for (const std::string_view no : {"false", "no", "off", "0", "f", "n"})
        if (small == no) return false;
    return std::nullopt;
}

} // namespace keepwell::importer
