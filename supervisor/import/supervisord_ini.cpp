#include "supervisor/import/supervisord_ini.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::size_t kMostSections = 10'000;
constexpr std::size_t kMostOptions = 1000; // of a section

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// A ; or # at the start or behind a space ends the line.
std::string_view without_comment(std::string_view line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
        if ((line[i] == ';' || line[i] == '#') && (i == 0 || is_blank(line[i - 1])))
            return line.substr(0, i);
    }
    return line;
}

std::size_t indent_of(std::string_view line) {
    return std::min(line.find_first_not_of(" \t"), line.size());
}

} // namespace

std::string IniSection::kind() const { return title_.substr(0, title_.find(':')); }

std::string IniSection::name() const {
    const std::size_t colon = title_.find(':');
    return colon == std::string::npos ? "" : std::string(trimmed(title_.substr(colon + 1)));
}

void IniSection::put(IniOption option) {
    std::erase_if(options_, [&](const IniOption& old) { return old.name == option.name; });
    options_.push_back(std::move(option));
}

const IniOption* IniSection::find(std::string_view name) const {
    const auto at = std::ranges::find(options_, name, &IniOption::name);
    return at == options_.end() ? nullptr : &*at;
}

std::optional<IniOption> IniSection::take(std::string_view name) {
    const auto at = std::ranges::find(options_, name, &IniOption::name);
    if (at == options_.end()) return std::nullopt;
    IniOption found = std::move(*at);
    options_.erase(at);
    return found;
}

IniSection* IniFile::find(const std::string& title) {
    const auto at = index_.find(title);
    return at == index_.end() ? nullptr : &sections_[at->second];
}

IniSection* IniFile::section(const std::string& title, const Place& place, Notes& notes) {
    if (IniSection* known = find(title)) return known;
    if (sections_.size() == kMostSections) {
        notes.cannot(place, "the rest", "10000 sections are the most");
        return nullptr;
    }
    index_.emplace(title, sections_.size());
    return &sections_.emplace_back(title, place);
}

void IniFile::read(const std::string& text, const std::string& file, Notes& notes) {
    IniSection* current = nullptr;
    bool goes_on = false; // an indented line belongs to the last option
    std::size_t indent = 0;
    std::uint32_t number = 0;
    for (const std::string& whole : lines_of(text)) {
        const Place place{file, ++number};
        const std::string_view line = without_comment(whole);
        const std::string_view content = trimmed(line);
        if (content.empty()) continue;
        if (goes_on && indent_of(line) > indent) {
            current->last()->value += "\n" + std::string(content);
            continue;
        }
        indent = indent_of(line);
        goes_on = false;
        if (content.starts_with('[') && content.find(']') != std::string_view::npos) {
            current = section(std::string(content.substr(1, content.rfind(']') - 1)), place, notes);
            if (current == nullptr) return;
            continue;
        }
        const std::size_t sign = content.find_first_of("=:");
        const std::string name = lower(trimmed(content.substr(0, sign)));
        if (current == nullptr || sign == std::string_view::npos || name.empty()) {
            notes.cannot(place, shortened(content), "it is neither a [section] nor name = value");
            continue;
        }
        if (current->left().size() == kMostOptions) {
            notes.cannot(place, shortened(content), "1000 options are the most of a section");
            continue;
        }
        current->put({name, std::string(trimmed(content.substr(sign + 1))), place});
        goes_on = true;
    }
}

} // namespace keepwell::importer
