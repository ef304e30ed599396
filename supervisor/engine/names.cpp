#include "supervisor/engine/names.h"

#include <algorithm>
#include <cerrno>
#include <fnmatch.h>
#include <numeric>
#include <set>

namespace keepwell {

namespace {

bool is_instance_of(const UnitSpec& u, const std::string& base) {
    return u.instance && u.key.size() > base.size() && u.key.compare(0, base.size(), base) == 0 &&
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

std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0U);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] =
                std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

} // namespace

Result<std::vector<std::string>> resolve_names(const std::vector<const UnitSpec*>& units,
                                               const std::vector<std::string>& names) {
    std::set<std::string> wanted;
    for (const auto& name : names) {
        const auto found = matches(units, name);
        if (found.empty() && !(name == "all")) {
            const auto nearest = std::min_element(
                units.begin(), units.end(), [&](const UnitSpec* a, const UnitSpec* b) {
                    return distance(a->key, name) < distance(b->key, name);
                });
            std::string text = "cannot find a unit named \"" + name + "\"";
            if (nearest != units.end() &&
                distance((*nearest)->key, name) <= std::max<std::size_t>(2, name.size() / 3))
                text += " (did you mean " + (*nearest)->key + "?)";
            return Error{text, ENOENT};
        }
        for (const UnitSpec* u : found) wanted.insert(u->key);
    }
    std::vector<std::string> keys;
    for (const UnitSpec* u : units)
        if (wanted.count(u->key) != 0) keys.push_back(u->key);
    return keys;
}

} // namespace keepwell
