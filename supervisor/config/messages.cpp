#include "supervisor/config/messages.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace keepwell {

std::string to_string(const ConfigMessage& message) {
    const SourcePosition& at = message.where;
    if (at.file.empty()) return message.text;
    if (at.line == 0) return at.file + ": " + message.text;
    return at.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
           message.text;
}

namespace config {
namespace {

std::vector<ConfigMessage> ordered(std::vector<ConfigMessage> messages,
                                   const std::vector<std::string>& files) {
    std::map<std::string, std::size_t> rank;
    for (const std::string& file : files) rank.emplace(file, rank.size());
    const auto place = [&](const ConfigMessage& m) {
        const auto it = rank.find(m.where.file);
        return std::tuple(it == rank.end() ? rank.size() : it->second, m.where.line,
                          m.where.column);
    };
    std::ranges::stable_sort(messages, [&](const ConfigMessage& a, const ConfigMessage& b) {
        return place(a) < place(b);
    });
    return messages;
}

} // namespace

void Messages::add(std::vector<ConfigMessage>& to, const Where& where, std::string text) {
    ConfigMessage message{where.position(), std::move(text)};
    if (seen_.insert(to_string(message)).second) to.push_back(std::move(message));
}

std::vector<ConfigMessage> Messages::take_errors(const std::vector<std::string>& files) {
    return ordered(std::move(errors_), files);
}

std::vector<ConfigMessage> Messages::take_warnings(const std::vector<std::string>& files) {
    return ordered(std::move(warnings_), files);
}

} // namespace config
} // namespace keepwell
