#include "supervisor/api/scopes.h"

namespace keepwell::api {

namespace {

constexpr Scope kGiven[] = {Scope::Read, Scope::Logs, Scope::Metrics, Scope::Control,
                            Scope::Heartbeat};

}

std::string_view to_string(Scope scope) noexcept {
    switch (scope) {
    case Scope::Open: return "open";
    case Scope::Read: return "read";
    case Scope::Logs: return "logs";
    case Scope::Metrics: return "metrics";
    case Scope::Control: return "control";
    case Scope::Heartbeat: return "heartbeat";
    }
    return "unknown";
}

std::optional<Scope> parse_scope(std::string_view text) noexcept {
    for (const Scope s : kGiven)
        if (to_string(s) == text) return s;
    return std::nullopt;
}

Scopes Scopes::all() {
    Scopes all;
    for (const Scope s : kGiven) all.add(s);
    return all;
}

std::vector<std::string> Scopes::names() const {
    std::vector<std::string> names;
    for (const Scope s : kGiven)
        if (has(s)) names.emplace_back(to_string(s));
    return names;
}

std::optional<Scopes> parse_scopes(std::string_view text) {
    Scopes scopes;
    while (true) {
        const auto comma = text.find(',');
        const auto scope = parse_scope(text.substr(0, comma));
        if (!scope) return std::nullopt;
        scopes.add(*scope);
        if (comma == std::string_view::npos) return scopes;
        text.remove_prefix(comma + 1);
    }
}

} // namespace keepwell::api
