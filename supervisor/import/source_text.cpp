#include "supervisor/import/source_text.h"

#include "supervisor/config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace keepwell::importer {

namespace {

constexpr std::uint64_t kLargestSource = 4U << 20U;
constexpr std::size_t kLongestKey = 63;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// How many bytes the character at the start of `text` has; 0 when it is none.
std::size_t character(std::string_view text) {
    const auto at = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
    };
    const auto tail = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
    const unsigned first = at(0);
    if (first == 0) return 0;
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first < 0xE0) return tail(1) ? 2 : 0;
    if ((first & 0xF0U) == 0xE0U) {
        const bool overlong = first == 0xE0 && at(1) < 0xA0;
        const bool surrogate = first == 0xED && at(1) >= 0xA0;
        return tail(1) && tail(2) && !overlong && !surrogate ? 3 : 0;
    }
    if (first < 0xF0 || first > 0xF4) return 0;
    const bool overlong = first == 0xF0 && at(1) < 0x90;
    const bool beyond = first == 0xF4 && at(1) >= 0x90;
    return tail(1) && tail(2) && tail(3) && !overlong && !beyond ? 4 : 0;
}

std::string utf8_only(std::string_view text, const std::string& path, Notes& notes) {
    std::string out;
    out.reserve(text.size());
    std::uint32_t line = 1;
    bool said = false;
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t bytes = character(text.substr(i));
        if (bytes == 0) {
            if (!said) notes.cannot({path, line}, "some bytes", "they are no UTF-8 text");
            said = true;
            out += kReplacement;
            ++i;
            continue;
        }
        if (text[i] == '\n') ++line;
        out += text.substr(i, bytes);
        i += bytes;
    }
    return out;
}

} // namespace

std::string to_string(const Note& note) {
    if (note.line == 0) return note.file + ": " + note.text;
    return note.file + ":" + std::to_string(note.line) + ": " + note.text;
}

void Notes::cannot(const Place& place, const std::string& what, const std::string& why) {
    Note note{place.file, place.line, "cannot import " + what + ": " + why};
    if (seen_.insert(to_string(note)).second) notes_.push_back(std::move(note));
}

std::vector<Note> Notes::take() {
    std::map<std::string, std::size_t> rank;
    for (const Note& note : notes_) rank.emplace(note.file, rank.size());
    std::ranges::stable_sort(notes_, [&](const Note& a, const Note& b) {
        return std::pair(rank[a.file], a.line) < std::pair(rank[b.file], b.line);
    });
    return std::move(notes_);
}

Error failure(const Place& place, const std::string& text) {
    return Error{to_string(Note{place.file, place.line, text})};
}

Result<std::string> read_source(const std::string& path, config::FileSource& source, Notes& notes) {
    auto text = source.read(path);
    if (!text) return text.error();
    if (text->size() > kLargestSource) {
        return failure({path, 0}, "cannot import it: it has " + std::to_string(text->size()) +
                                      " bytes and 4 MiB are the most (split it)");
    }
    return utf8_only(*text, path, notes);
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string below(const std::string& folder, const std::string& path) {
    if (path.starts_with('/') || folder == ".") return path;
    return folder == "/" ? folder + path : folder + "/" + path;
}

std::string absolute_folder_of(const std::string& path) {
    const std::string folder = folder_of(path);
    if (folder.starts_with('/')) return folder;
    std::error_code failed;
    const auto here = std::filesystem::absolute(folder, failed);
    if (failed) return folder;
    std::string text = here.lexically_normal().string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::string_view rest = text;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        std::string_view line = rest.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.emplace_back(line);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return lines;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n\f\v";
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

std::string shortened(std::string_view text) {
    constexpr std::size_t kMost = 60;
    std::size_t end = std::min(text.size(), kMost);
    while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
        --end;
    std::string out = "\"";
    for (const char c : text.substr(0, end)) {
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
    return out + (end < text.size() ? "…\"" : "\"");
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    constexpr std::uint64_t kMost = 1'000'000'000'000'000;
    if (text.empty() || error != std::errc() || stop != text.data() + text.size() || value > kMost)
        return std::nullopt;
    return value;
}

Result<std::vector<std::string>> split_words(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool open = false; // a word has begun, perhaps an empty one
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            if (open) words.push_back(std::move(word));
            word.clear();
            open = false;
            continue;
        }
        open = true;
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (c == quote) {
            quote = 0;
        } else if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '\\' && next != '\0' &&
                   (quote == 0 || (quote == '"' && (next == '"' || next == '\\')))) {
            word += next;
            ++i;
        } else {
            word += c;
        }
    }
    if (quote != 0) return Error{std::string("the quote ") + quote + " is not closed"};
    if (open) words.push_back(std::move(word));
    return words;
}

bool fits(const std::vector<std::string>& words) {
    constexpr std::size_t kLongest = 100'000;
    constexpr std::size_t kTogether = 400'000;
    std::size_t total = 0;
    for (const std::string& word : words) {
        total += word.size() + 1 + sizeof(char*);
        if (word.size() > kLongest) return false;
    }
    return total <= kTogether;
}

std::string seconds_text(std::uint64_t seconds) {
    constexpr std::uint64_t kHour = 3600;
    constexpr std::uint64_t kMinute = 60;
    if (seconds >= kHour && seconds % kHour == 0) return std::to_string(seconds / kHour) + "h";
    if (seconds >= kMinute && seconds % kMinute == 0)
        return std::to_string(seconds / kMinute) + "m";
    return std::to_string(seconds) + "s";
}

std::optional<std::string> size_text(std::string_view text) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string number(text.substr(0, end));
    std::string unit = lower(trimmed(text.substr(end)));
    if (unit == "b" || unit == "byte" || unit == "bytes") unit.clear();
    if (unit.ends_with("ib") || unit.ends_with("yte")) return std::nullopt;
    if (unit.size() == 2 && unit.ends_with('b')) unit.pop_back();
    if (unit.size() > 1) return std::nullopt;
    for (char& c : unit) c = static_cast<char>(c - 'a' + 'A');
    const auto size = config::parse_size(number + unit);
    if (!size) return std::nullopt;
    return number + unit;
}

std::string UnitNames::add(const std::string& name) {
    std::string key;
    for (const char c : lower(name)) {
        const bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                          c == '.' || c == ':' || c == '-';
        // Not @ either: worker@1 is the first instance of worker.
        if (fine) key += c;
        if (!fine && !key.empty() && !key.ends_with('-')) key += '-';
    }
    const std::size_t first = key.find_first_not_of("_.:-");
    key.erase(0, std::min(first, key.size()));
    if (key.size() > kLongestKey) key.resize(kLongestKey);
    while (key.ends_with('-') && !name.ends_with('-')) key.pop_back();
    if (key.empty() || key == "all") key = "unit";
    std::string unique = key;
    while (!taken_.insert(unique).second) {
        const std::string number = "-" + std::to_string(++copies_[key] + 1);
        unique = key.substr(0, kLongestKey - number.size()) + number;
    }
    keys_.emplace(name, unique);
    return unique;
}

const std::string* UnitNames::find(const std::string& name) const {
    const auto at = keys_.find(name);
    return at == keys_.end() ? nullptr : &at->second;
}

void UnitNames::show(TomlTable& unit, const std::string& key, const std::string& name) {
    if (key != name && !trimmed(name).empty()) unit.set("name", toml::text(name));
}

std::string check_id(const TomlTable& unit, const std::string& type) {
    std::string id = type;
    for (std::size_t n = 2; unit.has("check." + id); ++n) id = type + "-" + std::to_string(n);
    return id;
}

void set_check(TomlTable& unit, const std::string& type, const TomlTable& keys) {
    const std::string id = check_id(unit, type);
    TomlTable check;
    if (id != type) check.set("type", toml::text(type));
    std::string body = check.inlined();
    if (!keys.empty()) {
        const std::string rest = keys.inlined();
        body = check.empty() ? rest : body.substr(0, body.size() - 2) + ", " + rest.substr(2);
    }
    unit.set("check." + id, body);
}

void begin(TomlDocument& document, std::string_view format, const std::string& path) {
    document.comment("Imported from " + std::string(format) + " (" + path +
                     "). Look it through, then: keepwell validate -c FILE");
}

Result<Imported> finish(const TomlDocument& document, Notes& notes, std::size_t units,
                        const std::string& path) {
    if (document.text().size() > config::kLargestConfigFile) {
        return failure({path, 0}, "cannot import it: the result would be larger than the 16 MiB "
                                  "that a configuration may have (split it)");
    }
    Imported imported{document.text(), notes.take(), units};
    if (units == 0) {
        imported.notes.push_back(
            {path, 0,
             "cannot import anything: there is no service in it that keepwell could keep"});
    }
    return imported;
}

} // namespace keepwell::importer
