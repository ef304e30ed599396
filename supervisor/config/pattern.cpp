#include "supervisor/config/pattern.h"

#include "supervisor/config/values.h"
#include "supervisor/logs/pattern.h"

namespace keepwell::config {
namespace {

Error bad_pattern(const std::string& text, const std::string& why) {
    return Error{quote(text.substr(0, 60)) + " is not a regular expression: " + why, 0};
}

} // namespace

Status check_pattern(const std::string& text) {
    const auto pattern = Pattern::compile(text);
    if (!pattern) return bad_pattern(text, pattern.error().message);
    return Done{};
}

Status check_redaction(const std::string& text) {
    const auto pattern = Pattern::compile(text);
    if (!pattern) return bad_pattern(text, pattern.error().message);
    if (pattern->matches_nothing_too()) {
        return Error{quote(text) + " matches the empty text (leave out what is optional)", 0};
    }
    return Done{};
}

} // namespace keepwell::config
