#include "supervisor/config/expand.h"

#include "supervisor/config/values.h"

#include <cstdlib>

namespace keepwell::config {
namespace {

constexpr int kMaxNesting = 16;

// The end of "${…}" whose inside starts at `from`, counting nested ones; npos when it is open.
std::size_t closing_brace(std::string_view text, std::size_t from) {
    int depth = 1;
    for (std::size_t i = from; i < text.size(); ++i) {
        if (text[i] == '$' && i + 1 < text.size() && text[i + 1] == '{') ++depth;
        if (text[i] == '}' && --depth == 0) return i;
    }
    return std::string_view::npos;
}

bool is_variable_name(std::string_view name) {
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    if (name.empty() || !letter(name[0])) return false;
    for (const char c : name) {
        if (!letter(c) && !(c >= '0' && c <= '9')) return false;
    }
    return true;
}

Result<std::string> expand_nested(std::string_view text, const Lookup& lookup, int depth);

Result<std::string> variable(std::string_view inside, const Lookup& lookup, int depth) {
    const std::size_t mark = inside.find(":-");
    const std::string name(inside.substr(0, mark));
    if (!is_variable_name(name)) {
        return Error{quote("${" + std::string(inside) + "}") +
                     " names no variable (write $$ for a dollar)"};
    }
    const std::optional<std::string> value = lookup(name);
    if (mark == std::string_view::npos) {
        if (!value) {
            return Error{"the environment has no variable " + name + " (set it, or write ${" +
                         name + ":-default})"};
        }
        return *value;
    }
    if (value && !value->empty()) return *value;
    return expand_nested(inside.substr(mark + 2), lookup, depth + 1);
}

Result<std::string> expand_nested(std::string_view text, const Lookup& lookup, int depth) {
    if (depth > kMaxNesting) return Error{"${…} is nested too deeply"};
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool last = i + 1 == text.size();
        if (text[i] != '$' || last || (text[i + 1] != '$' && text[i + 1] != '{')) {
            out += text[i];
        } else if (text[i + 1] == '$') {
            out += '$';
            ++i;
        } else {
            const std::size_t end = closing_brace(text, i + 2);
            if (end == std::string_view::npos) {
                return Error{quote(text.substr(i)) +
                             " has no closing brace (write $$ for a dollar)"};
            }
            auto value = variable(text.substr(i + 2, end - i - 2), lookup, depth);
            if (!value) return value.error();
            out += *value;
            i = end;
        }
    }
    return out;
}

} // namespace

std::optional<std::string> from_environment(const std::string& name) {
    const char* value = ::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
}

Result<std::string> expand(std::string_view text, const Lookup& lookup) {
    return expand_nested(text, lookup, 0);
}

void expand_tree(Node& root, const Lookup& lookup, Messages& messages) {
    for_each_string(root, [&](Node& node) {
        if (node.text.find('$') == std::string::npos) return;
        auto value = expand(node.text, lookup);
        if (!value) {
            messages.error(node.where, "cannot read " + node.path + ": " + value.error().message);
            return;
        }
        node.expanded = *value != node.text;
        node.text = std::move(*value);
    });
}

void expand_instance(Node& root, std::uint32_t instance) {
    constexpr std::string_view mark = "{instance}";
    const std::string number = std::to_string(instance);
    for_each_string(root, [&](Node& node) {
        for (std::size_t at = node.text.find(mark); at != std::string::npos;
             at = node.text.find(mark, at + number.size())) {
            node.text.replace(at, mark.size(), number);
            node.expanded = true;
        }
    });
}

} // namespace keepwell::config
