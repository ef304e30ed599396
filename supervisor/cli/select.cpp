#include "supervisor/cli/select.h"

#include "supervisor/cli/text.h"
#include "supervisor/config/suggest.h"

#include <algorithm>
#include <fnmatch.h>
#include <functional>

namespace keepwell::cli {

namespace {

std::string base_name(const std::string& key) {
    const std::size_t at = key.rfind('@');
    if (at == std::string::npos || at + 1 == key.size()) return key;
    const bool digits = key.find_first_not_of("0123456789", at + 1) == std::string::npos;
    return digits ? key.substr(0, at) : key;
}

std::vector<std::string> matching(const std::vector<NamedUnit>& known, const std::string& typed) {
    const auto by = [&](const std::function<bool(const NamedUnit&)>& fits) {
        std::vector<std::string> keys;
        for (const auto& unit : known) {
            if (fits(unit)) keys.push_back(unit.key);
        }
        return keys;
    };
    auto keys = by([&](const NamedUnit& u) { return u.key == typed; });
    if (keys.empty()) keys = by([&](const NamedUnit& u) { return base_name(u.key) == typed; });
    if (keys.empty() && typed == "all") keys = by([](const NamedUnit&) { return true; });
    if (keys.empty() && typed.ends_with(":*")) {
        const std::string group = typed.substr(0, typed.size() - 2);
        keys = by([&](const NamedUnit& u) { return u.group == group; });
    }
    if (keys.empty() && typed.find_first_of("*?[") != std::string::npos) {
        keys =
            by([&](const NamedUnit& u) { return fnmatch(typed.c_str(), u.key.c_str(), 0) == 0; });
    }
    if (keys.empty()) keys = by([&](const NamedUnit& u) { return u.name == typed; });
    return keys;
}

} // namespace

Result<std::vector<std::string>> select_units(const std::vector<NamedUnit>& known,
                                              const std::vector<std::string>& wanted) {
    std::vector<std::string> chosen;
    for (const auto& typed : wanted) {
        const auto keys = matching(known, typed);
        if (keys.empty()) return Error{no_such_unit(typed, known)};
        chosen.insert(chosen.end(), keys.begin(), keys.end());
    }
    std::vector<std::string> ordered;
    for (const auto& unit : known) {
        const bool take = std::find(chosen.begin(), chosen.end(), unit.key) != chosen.end();
        if (take || wanted.empty()) ordered.push_back(unit.key);
    }
    return ordered;
}

std::string did_you_mean(std::string_view typed, const std::vector<std::string>& known) {
    std::string best;
    std::size_t least = std::max<std::size_t>(1, typed.size() / 3) + 1;
    for (const auto& candidate : known) {
        const std::size_t d = config::edit_distance(typed.substr(0, 64), candidate);
        if (d < least && d < candidate.size()) {
            least = d;
            best = candidate;
        }
    }
    return best;
}

std::string in_quotes(std::string_view foreign) { return "\"" + safe_text(foreign) + "\""; }

std::string no_such_unit(std::string_view typed, const std::vector<NamedUnit>& known) {
    std::vector<std::string> names;
    for (const auto& unit : known) {
        names.push_back(unit.key);
        if (unit.name != unit.key) names.push_back(unit.name);
    }
    const std::string guess = did_you_mean(typed, names);
    std::string out = "no unit named " + in_quotes(typed);
    if (!guess.empty()) return out + " (did you mean " + safe_text(guess) + "?)";
    return out + " (keepwell status lists them)";
}

} // namespace keepwell::cli
