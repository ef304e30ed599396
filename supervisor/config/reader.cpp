#include "supervisor/config/reader.h"

#include "supervisor/config/file_source.h"
#include "supervisor/config/suggest.h"
#include "supervisor/config/values.h"
#include "units/reason.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace keepwell::config {
namespace {

constexpr std::uint64_t kLargestSecret = 1U << 20;

std::string plain(double value) {
    std::string out = std::to_string(value);
    while (out.ends_with('0')) out.pop_back();
    if (out.ends_with('.')) out.pop_back();
    return out;
}

template <class Number>
std::optional<Number> number_in(const std::string& text) {
    Number value{};
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || stop != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

} // namespace

std::string wrong_kind(const Node& found, std::string_view expected, std::string_view example) {
    std::string out = "expected " + std::string(expected);
    if (!example.empty()) out += " like " + std::string(example);
    return out + ", found " + std::string(kind_name(found.kind));
}

std::string absolute_path(const std::string& path, const Where& where) {
    namespace fs = std::filesystem;
    const fs::path folder = where.file ? fs::path(*where.file).parent_path() : fs::path();
    std::error_code ignored;
    const fs::path whole = fs::absolute(folder / path, ignored);
    return (ignored ? folder / path : whole).lexically_normal().string();
}

std::string resolve_secret_path(const std::string& path, const Where& where) {
    const char* credentials = ::getenv("CREDENTIALS_DIRECTORY");
    if (credentials != nullptr && path.find('/') == std::string::npos) {
        std::string candidate = std::string(credentials) + "/" + path;
        if (::access(candidate.c_str(), F_OK) == 0) return candidate;
    }
    return absolute_path(path, where);
}

const Node* Reader::take(std::string_view key) {
    known_.emplace_back(key);
    return table_->find(key);
}

const Node* Reader::expect(std::string_view key, NodeKind kind, std::string_view example) {
    const Node* found = take(key);
    if (found == nullptr || found->kind == kind) return found;
    error(*found, wrong_kind(*found, kind_name(kind), example));
    return nullptr;
}

const Node* Reader::table(std::string_view key) { return expect(key, NodeKind::Table, ""); }

bool Reader::text(std::string_view key, std::string& to) {
    const Node* found = expect(key, NodeKind::String, "");
    if (found == nullptr) return false;
    if (has_nul(found->text)) {
        error(*found, "a NUL character cannot be used here");
        return false;
    }
    to = found->text;
    return true;
}

bool Reader::nonempty_text(std::string_view key, std::string& to) {
    std::string value;
    if (!text(key, value)) return false;
    if (value.empty()) {
        error(*table_->find(key), "an empty string says nothing (leave the key out)");
        return false;
    }
    to = std::move(value);
    return true;
}

bool Reader::secret(std::string_view key, std::string& to) {
    const std::string file_key = std::string(key) + "_file";
    const Node* file = expect(file_key, NodeKind::String, "");
    const Node* direct = table_->find(key);
    if (file == nullptr || direct == nullptr) {
        if (file == nullptr) return text(key, to);
        known_.emplace_back(key);
        const std::string path = resolve_secret_path(file->text, file->where);
        auto contents = read_regular_file(path, kLargestSecret);
        if (!contents) {
            error(*file, contents.error().message);
            return false;
        }
        to = std::move(*contents);
        if (to.ends_with('\n')) to.pop_back();
        if (to.ends_with('\r')) to.pop_back();
        return true;
    }
    known_.emplace_back(key);
    error(*file, std::string(key) + " is given too (keep one of them)");
    return false;
}

bool Reader::path(std::string_view key, std::string& to) {
    std::string value;
    if (!nonempty_text(key, value)) return false;
    to = absolute_path(value, table_->find(key)->where);
    return true;
}

bool Reader::boolean(std::string_view key, bool& to) {
    const Node* found = take(key);
    if (found == nullptr) return false;
    if (found->kind == NodeKind::Boolean) {
        to = found->boolean;
        return true;
    }
    if (found->expanded && (found->text == "true" || found->text == "false")) {
        to = found->text == "true";
        return true;
    }
    error(*found, wrong_kind(*found, "true or false"));
    return false;
}

bool Reader::whole(std::string_view key, std::int64_t& to, std::int64_t low, std::int64_t high) {
    const Node* found = take(key);
    if (found == nullptr) return false;
    std::optional<std::int64_t> value;
    if (found->kind == NodeKind::Integer) value = found->integer;
    if (found->expanded) {
        value = number_in<std::int64_t>(found->text);
        if (!value) {
            error(*found, quote(found->text) + " is not an integer");
            return false;
        }
    }
    if (!value) {
        error(*found, wrong_kind(*found, "an integer"));
        return false;
    }
    if (*value < low || *value > high) {
        error(*found, std::to_string(*value) + " is not between " + std::to_string(low) + " and " +
                          std::to_string(high));
        return false;
    }
    to = *value;
    return true;
}

bool Reader::number(std::string_view key, double& to, double low, double high) {
    const Node* found = take(key);
    if (found == nullptr) return false;
    std::optional<double> value;
    if (found->kind == NodeKind::Integer) value = static_cast<double>(found->integer);
    if (found->kind == NodeKind::Float) value = found->number;
    if (found->expanded) value = number_in<double>(found->text);
    if (!value) {
        error(*found, found->expanded ? quote(found->text) + " is not a number"
                                      : wrong_kind(*found, "a number"));
        return false;
    }
    if (!(*value >= low && *value <= high)) {
        error(*found, plain(*value) + " is not between " + plain(low) + " and " + plain(high));
        return false;
    }
    to = *value;
    return true;
}

bool Reader::duration(std::string_view key, Duration& to, Duration low) {
    const Node* found = expect(key, NodeKind::String, "\"10s\"");
    if (found == nullptr) return false;
    auto value = parse_duration(found->text);
    if (!value) {
        error(*found, value.error().message);
        return false;
    }
    if (*value < low) {
        error(*found, quote(found->text) + " is too short (at least " + human_duration(low) + ")");
        return false;
    }
    to = *value;
    return true;
}

bool Reader::size(std::string_view key, std::uint64_t& to) {
    const Node* found = take(key);
    if (found == nullptr) return false;
    if (found->kind == NodeKind::Integer && found->integer >= 0) {
        to = static_cast<std::uint64_t>(found->integer);
        return true;
    }
    if (found->kind == NodeKind::Integer) {
        error(*found, std::to_string(found->integer) + " is negative (a size is like \"64M\")");
        return false;
    }
    if (!found->is_string()) {
        error(*found, wrong_kind(*found, "a size", "\"64M\""));
        return false;
    }
    auto value = parse_size(found->text);
    if (!value) {
        error(*found, value.error().message);
        return false;
    }
    to = *value;
    return true;
}

bool Reader::texts(std::string_view key, std::vector<std::string>& to) {
    const Node* found = expect(key, NodeKind::Array, "");
    if (found == nullptr) return false;
    std::vector<std::string> values;
    for (const Node& item : found->items) {
        if (!item.is_string()) {
            error(item, wrong_kind(item, "a string"));
            return false;
        }
        if (has_nul(item.text)) {
            error(item, "a NUL character cannot be used here");
            return false;
        }
        values.push_back(item.text);
    }
    to = std::move(values);
    return true;
}

bool Reader::argv(std::string_view key, Argv& to) {
    const Node* found = table_->find(key);
    if (found != nullptr && found->is_string()) {
        known_.emplace_back(key);
        error(*found, "expected an array like [\"program\", \"argument\"], found a string");
        return false;
    }
    Argv values;
    if (!texts(key, values) || found == nullptr) return false;
    if (values.empty() || values[0].empty()) {
        error(*found, "the command is empty (name the program first, like [\"/usr/bin/sleep\", "
                      "\"60\"])");
        return false;
    }
    to = std::move(values);
    return true;
}

bool Reader::word_index(std::string_view key, const std::vector<std::string>& words,
                        std::size_t& index) {
    const Node* found = expect(key, NodeKind::String, "");
    if (found == nullptr) return false;
    const auto it = std::ranges::find(words, found->text);
    if (it == words.end()) {
        std::string list;
        for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
        error(*found,
              quote(found->text) + " is none of " + list + did_you_mean(found->text, words));
        return false;
    }
    index = static_cast<std::size_t>(it - words.begin());
    return true;
}

bool Reader::later(std::string_view key) {
    const Node* found = take(key);
    if (found == nullptr) return false;
    messages_->warning(found->key_where, "cannot use " + found->path + ": not available yet");
    return true;
}

void Reader::error(const Node& at, const std::string& what) {
    messages_->error(at.where, "cannot read " + at.path + ": " + what);
}

void Reader::warning(const Node& at, const std::string& what) {
    messages_->warning(at.where, at.path + ": " + what);
}

void Reader::missing(std::string_view what) {
    messages_->error(table_->key_where, "cannot read " + table_->path + ": " + std::string(what));
}

std::size_t Reader::finish() {
    std::size_t unknown = 0;
    for (const Node& item : table_->items) {
        if (std::ranges::find(known_, item.key) != known_.end()) continue;
        ++unknown;
        messages_->error(item.key_where, "cannot read " + item.path + ": unknown key" +
                                             did_you_mean(item.key, known_));
    }
    return unknown;
}

} // namespace keepwell::config
