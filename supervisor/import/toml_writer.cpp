#include "supervisor/import/toml_writer.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

bool is_bare(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

std::string in_quotes(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\u00";
            out += kHex[byte >> 4U];
            out += kHex[byte & 15U];
        } else {
            out += c;
        }
    }
    return out + '"';
}

} // namespace

std::string escape_dollars(std::string_view plain) {
    std::string out;
    for (std::size_t i = 0; i < plain.size(); ++i) {
        out += plain[i];
        // The last one too: what is put behind it may begin with a brace.
        const bool last = i + 1 == plain.size();
        if (plain[i] == '$' && (last || plain[i + 1] == '$' || plain[i + 1] == '{')) out += '$';
    }
    return out;
}

namespace toml {

std::string key(std::string_view name) {
    const bool bare = !name.empty() && std::ranges::all_of(name, is_bare);
    return bare ? std::string(name) : in_quotes(name);
}

std::string text(std::string_view plain) { return in_quotes(escape_dollars(plain)); }
std::string expanding(std::string_view with_variables) { return in_quotes(with_variables); }
std::string number(std::uint64_t value) { return std::to_string(value); }
std::string boolean(bool value) { return value ? "true" : "false"; }

std::string array(const std::vector<std::string>& rendered) {
    std::string out = "[";
    for (const auto& value : rendered) out += (out.size() > 1 ? ", " : "") + value;
    return out + "]";
}

std::string texts(const std::vector<std::string>& plain) {
    std::vector<std::string> rendered;
    rendered.reserve(plain.size());
    for (const auto& one : plain) rendered.push_back(text(one));
    return array(rendered);
}

std::string expandings(const std::vector<std::string>& with_variables) {
    std::vector<std::string> rendered;
    rendered.reserve(with_variables.size());
    for (const auto& one : with_variables) rendered.push_back(expanding(one));
    return array(rendered);
}

} // namespace toml

void TomlTable::set(std::string path, std::string value) {
    const auto same = [&](const auto& entry) { return entry.first == path; };
    if (const auto at = std::ranges::find_if(entries_, same); at != entries_.end()) {
        at->second = std::move(value);
        return;
    }
    entries_.emplace_back(std::move(path), std::move(value));
}

void TomlTable::erase(std::string_view path) {
    std::erase_if(entries_, [&](const auto& entry) { return entry.first == path; });
}

bool TomlTable::has(std::string_view path) const {
    return std::ranges::any_of(entries_, [&](const auto& entry) { return entry.first == path; });
}

std::string TomlTable::lines() const {
    std::string out;
    for (const auto& [path, value] : entries_) out += path + " = " + value + "\n";
    return out;
}

std::string TomlTable::inlined() const {
    std::string out = "{ ";
    for (const auto& [path, value] : entries_)
        out += (out.size() > 2 ? ", " : "") + path + " = " + value;
    return entries_.empty() ? "{}" : out + " }";
}

void TomlDocument::comment(std::string_view text) {
    text_ += "# ";
    // A comment may hold no control character, and must not end early.
    for (const char c : text) text_ += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    text_ += '\n';
}

void TomlDocument::table(std::string_view heading, const TomlTable& table) {
    text_ += "\n[" + std::string(heading) + "]\n" + table.lines();
}

} // namespace keepwell::importer
