#include "supervisor/engine/names.h"

#include "supervisor/config/suggest.h"

#include <algorithm>
#include <cerrno>
#include <fnmatch.h>
#include <set>

namespace keepwell {

namespace {

bool is_instance_of(const UnitSpec& u, const std::string& base) {
    return u.key.size() > base.size() && u.key.compare(0, base.size(), base) == 0 &&
           u.key[base.size()] == '@';
}

bool is_group(const std::string& name) { return name.size() > 2 && name.ends_with(":*"); }

// How a name may be meant, strongest first; the first meaning that matches anything counts.
std::vector<const UnitSpec*> matches(const std::vector<const UnitSpec*>& units,
                                     const std::string& name) {
    const auto pick = [&](auto meaning) {
        std::vector<const UnitSpec*> found;
        std::copy_if(units.begin(), units.end(), std::back_inserter(found),
                     [&](const UnitSpec* u) { return meaning(*u); });
        return found;
    };
    if (auto f = pick([&](const UnitSpec& u) { return u.key == name; }); !f.empty()) return f;
    if (name == "all") return units;
    if (auto f = pick([&](const UnitSpec& u) { return is_instance_of(u, name); }); !f.empty())
        return f;
    if (is_group(name)) {
        const std::string group = name.substr(0, name.size() - 2);
        if (auto f = pick([&](const UnitSpec& u) { return u.group == group; }); !f.empty())
            return f;
    }
    if (auto f = pick([&](const UnitSpec& u) { return u.name == name; }); !f.empty()) return f;
    return pick([&](const UnitSpec& u) { return fnmatch(name.c_str(), u.key.c_str(), 0) == 0; });
}

} // namespace

Result<std::vector<std::string>> resolve_names(const std::vector<const UnitSpec*>& units,
                                               const std::vector<std::string>& names) {
    std::set<std::string> wanted;
    for (const auto& name : names) {
        const auto found = matches(units, name);
        if (found.empty() && !(name == "all")) {
            std::vector<std::string> known;
            known.reserve(units.size());
            for (const UnitSpec* u : units) known.push_back(u->key);
            const std::string text =
                "cannot find a unit named \"" + name + "\"" + config::did_you_mean(name, known);
            return Error{text, ENOENT};
        }
        for (const UnitSpec* u : found) wanted.insert(u->key);
    }
    std::vector<std::string> keys;
    for (const UnitSpec* u : units)
        if (wanted.count(u->key) != 0) keys.push_back(u->key);
    return keys;
}

std::string instance_key(const std::string& pattern_key, const std::string& unit) {
    constexpr std::size_t kLongestKey = 63;
    std::string part = unit.substr(0, unit.rfind('.'));
    if (const auto at = part.find('@'); at != std::string::npos) part.erase(0, at + 1);
    std::string clean;
    for (const char c : part) {
        const bool keeps = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                           c == '.' || c == ':' || c == '-' || c == '@';
        const bool upper = c >= 'A' && c <= 'Z';
        clean += keeps ? c : upper ? static_cast<char>(c - 'A' + 'a') : '-';
    }
    const std::string key = pattern_key + "@" + clean;
    if (clean == part && key.size() <= kLongestKey) return key;
    std::uint32_t hash = 2166136261U; // FNV-1a
    for (const char c : unit) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    const std::string mark = "-" + std::to_string(hash);
    return key.substr(0, kLongestKey - mark.size()) + mark;
}

} // namespace keepwell
