#include "supervisor/api/query.h"

#include <algorithm>

namespace keepwell::api {

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

} // namespace keepwell::api
