#include "supervisor/api/query.h"

#include <algorithm>
#include <charconv>

namespace keepwell::api {

std::optional<std::uint64_t> number_of(const Target& target, const std::string& name,
                                       std::uint64_t absent) {
    const auto it = target.query.find(name);
    if (it == target.query.end()) return absent;
    std::uint64_t value = 0;
    const char* const end = it->second.data() + it->second.size();
    const auto [stop, error] = std::from_chars(it->second.data(), end, value);
    if (error != std::errc() || stop != end) return std::nullopt;
    return value;
}

std::optional<std::string_view> one_of(const Target& target, const std::string& name,
                                       std::span<const std::string_view> words) {
    const auto given = target.query.find(name);
    if (given == target.query.end()) return words.front();
    const auto word = std::find(words.begin(), words.end(), given->second);
    if (word == words.end()) return std::nullopt;
    return *word;
}

std::string use_one_of(std::string_view name, std::span<const std::string_view> words) {
    std::string text = "cannot read " + std::string(name) + ": use";
    const char* between = " ";
    for (const std::string_view& word : words) {
        if (word.empty()) continue;
        text += between;
        text += word;
        between = &word + 2 == words.data() + words.size() ? " or " : ", ";
    }
    return text;
}

bool etag_matches(std::string_view if_none_match, std::string_view etag) {
    return if_none_match == "*" || if_none_match.find(etag) != std::string_view::npos;
}

} // namespace keepwell::api
