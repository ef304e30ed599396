#include "supervisor/api/log_query.h"

#include "supervisor/api/query.h"
#include "supervisor/config/values.h"

#include <cerrno>

namespace keepwell::api {
namespace {

Error bad(const std::string& name, const std::string& wanted) {
    return Error{"cannot use the parameter " + name + ": " + wanted, EINVAL};
}

const std::string* find(const Target& target, const std::string& name) {
    const auto it = target.query.find(name);
    return it == target.query.end() || it->second.empty() ? nullptr : &it->second;
}

Status take_time(const Target& target, const std::string& name, WallTime now,
                 std::optional<std::int64_t>& to) {
    const std::string* const text = find(target, name);
    if (text == nullptr) return Done{};
    if (const auto ago = config::parse_duration(*text)) {
        to = now.ms - std::chrono::duration_cast<std::chrono::milliseconds>(ago.value()).count();
        return Done{};
    }
    to = parse_date(*text);
    if (!to) return bad(name, "it is a time (2026-11-22T12:30:00Z) or how long ago (10m)");
    return Done{};
}

Status take_lines(const Target& target, std::size_t& to) {
    if (find(target, "lines") == nullptr) return Done{};
    const auto lines = number_of(target, "lines", 0);
    if (!lines || *lines == 0 || *lines > kMostLogLines)
        return bad("lines", "it is a number from 1 to 1000");
    to = static_cast<std::size_t>(*lines);
    return Done{};
}

Status take_filter(const Target& target, feeds::LineFilter& to) {
    if (const std::string* const level = find(target, "level")) {
        to.level = level_of_word(*level);
        if (!to.level) return bad("level", "it is error, warn, info or debug");
    }
    if (const std::string* const literal = find(target, "q")) {
        if (literal->size() > kLongestPattern) return bad("q", "it is at most 1000 bytes long");
        to.literal = feeds::Literal(*literal);
    }
    const std::string* const expression = find(target, "re");
    if (expression == nullptr) return Done{};
    auto pattern = Pattern::compile(*expression);
    if (!pattern) return bad("re", "it is a regular expression of RE2; " + pattern.error().message);
    to.pattern = std::move(*pattern);
    return Done{};
}

} // namespace

Result<LogRequest> parse_log_request(const Target& target, WallTime now,
                                     std::size_t default_lines) {
    LogRequest request;
    feeds::LogQuestion& question = request.question;
    question.lines = default_lines;
    question.now_ms = now.ms;
    if (const std::string* const type = find(target, "type")) request.type = *type;
    question.asked = request.type;
    for (const Status& taken :
         {take_lines(target, question.lines), take_filter(target, question.filter),
          take_time(target, "since", now, question.since_ms),
          take_time(target, "until", now, question.until_ms)})
        if (!taken) return taken.error();
    if (request.type == "errors") question.filter.level = LogLevel::Error;
    if (const std::string* const before = find(target, "before")) {
        question.before = feeds::decode_cursor(*before);
        if (!question.before || question.before->asked != feeds::hash_of(request.type))
            return bad("before", "it is no cursor that an answer for this type gave");
    }
    if (const std::string* const format = find(target, "format")) {
        request.text = *format == "text";
        if (!request.text && *format != "json") return bad("format", "it is json or text");
    }
    return request;
}

} // namespace keepwell::api
