#include "supervisor/config/pattern.h"

#include "supervisor/config/values.h"

#include <regex>

namespace keepwell::config {

Status check_pattern(const std::string& text) {
    try {
        const std::regex compiled(text, std::regex::ECMAScript);
        return Done{};
    } catch (const std::regex_error& e) {
        return Error{quote(text) + " is not a regular expression: " + e.what()};
    }
}

} // namespace keepwell::config
