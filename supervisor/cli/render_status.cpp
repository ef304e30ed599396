#include "supervisor/cli/render.h"
#include "supervisor/cli/table.h"

#include <algorithm>
#include <array>
#include <map>

namespace keepwell::cli {

namespace {

Rank verdict_rank(const Json& service) {
    const std::string state = service["state"].text();
    const std::string health = service["health"]["status"].text();
    if (state == "completed") return Rank::Completed;
    if (state == "unknown" && health == "unknown") return Rank::Unknown;
    if (service["desired_state"].text() == "stopped") return Rank::Stopped;
    if (state == "waiting") return Rank::Waiting;
    if (health == "down" || state == "failed") return Rank::Down;
    if (health == "degraded") return Rank::Degraded;
    return health == "healthy" ? Rank::Healthy : Rank::Unknown;
}

// A stop that is under way is not calm yet.
Colour state_colour(const std::string& state) {
    if (state == "running") return Colour::Green;
    if (state == "backoff" || state == "failed") return Colour::Red;
    if (state == "cooldown" || state == "stopping") return Colour::Yellow;
    if (state == "stopped" || state == "completed") return Colour::Dim;
    return Colour::Cyan;
}

Colour health_colour(const std::string& health) {
    if (health == "healthy") return Colour::Green;
    if (health == "degraded") return Colour::Yellow;
    return health == "down" ? Colour::Red : Colour::Cyan;
}

std::string number_or_dash(const Json& value) {
    const auto n = value.number();
    return n ? std::to_string(static_cast<std::int64_t>(*n)) : "-";
}

std::string percent_or_dash(const Json& value) {
    const auto n = value.number();
    if (!n) return "-";
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), *n < 99.95 ? "%.1f%%" : "%.0f%%", *n);
    return text.data();
}

// Counted from started_at while it runs, so that it is right between two status documents.
std::string uptime(const Json& service, std::int64_t now_ms) {
    const auto seconds = service["uptime_s"].number();
    if (!seconds) return "-";
    const auto started = parse_time(service["started_at"].text());
    return human_age(started ? static_cast<double>(now_ms - *started) / 1000 : *seconds);
}

std::string next_try(const Json& service, std::int64_t now_ms) {
    const Json restarts = service["restarts"];
    const auto at = parse_time(restarts["next_attempt_at"].text());
    if (!at) return {};
    const double wait = static_cast<double>(*at - now_ms) / 1000;
    std::string out = wait < 0.5 ? "next try now" : "next try in " + human_age(wait + 0.5);
    const std::int64_t budget = restarts["budget"].integer();
    const std::int64_t left = restarts["attempts_left"].integer();
    // The one that is waited for is paid for already.
    if (service["state"].text() == "backoff" && budget > 0 && left >= 0)
        out += " (" + std::to_string(std::max<std::int64_t>(1, budget - left)) + " of " +
               std::to_string(budget) + ")";
    return out;
}

std::string paused_text(const Json& service, std::int64_t now_ms) {
    const auto until = parse_time(service["paused_until"].text());
    if (!until) return "paused";
    return "paused for " + human_age(static_cast<double>(*until - now_ms) / 1000) + " more";
}

std::string blocked_text(const Json& service, const Json& services) {
    const std::string by = service["blocked_by"].text();
    const Json other = services[by];
    std::string out = "needs " + by;
    const std::string state = other["state"].text();
    const std::string health = other["health"]["status"].text();
    if (!other.is_object()) return out;
    return out + " (" + (state == "running" ? health : state) + ")";
}

std::vector<Cell> row_of(const Json& service, const Json& services, std::int64_t now_ms,
                         const Style& style) {
    const Rank rank = rank_of(service);
    const Mark look = mark_of(rank);
    const bool at_rest = rank == Rank::Stopped || rank == Rank::Completed;
    const std::string state = service["state"].text("unknown");
    const std::string health = service["health"]["status"].text("unknown");
    const auto memory = service["memory_bytes"].number();
    const bool alive = service["pid"].number().has_value() || service["kind"].text() == "external";
    return {{safe_text(service["key"].text()), look.colour, symbol(look.symbol, look.ascii, style)},
            {safe_text(service["kind"].text()), Colour::None, {}},
            {safe_text(state), state_colour(state), {}},
            {safe_text(health), at_rest ? Colour::Dim : health_colour(health), {}},
            {number_or_dash(service["pid"]), Colour::None, {}},
            {alive ? uptime(service, now_ms) : "-", Colour::None, {}},
            {number_or_dash(service["restarts"]["total"]), Colour::None, {}},
            {percent_or_dash(service["cpu_percent"]), Colour::None, {}},
            {memory ? human_bytes(*memory) : "-", Colour::None, {}},
            {short_reason(service, services, now_ms), Colour::None, {}}};
}

} // namespace

Mark mark_of(Rank rank) {
    switch (rank) {
    case Rank::Down: return {"✖", 'x', Colour::Red, "down"};
    case Rank::Degraded: return {"▲", '!', Colour::Yellow, "degraded"};
    case Rank::Waiting: return {"◌", 'o', Colour::Cyan, "waiting"};
    case Rank::Unknown: return {"◌", 'o', Colour::Cyan, "unknown"};
    case Rank::Healthy: return {"●", '*', Colour::Green, "healthy"};
    case Rank::Paused: return {"‖", '=', Colour::Blue, "paused"};
    case Rank::Completed: return {"●", '*', Colour::Dim, "completed"};
    case Rank::Stopped: return {"‖", '=', Colour::Dim, "stopped"};
    }
    return {"?", '?', Colour::None, "unknown"};
}

Rank rank_of(const Json& service) {
    const Rank rank = verdict_rank(service);
    const bool calm = rank == Rank::Healthy;
    return calm && service["paused"].boolean() ? Rank::Paused : rank;
}

bool counts_as_well(const Json& service) {
    if (service["paused"].boolean()) return true;
    switch (verdict_rank(service)) {
    case Rank::Healthy:
    case Rank::Paused:
    case Rank::Completed:
    case Rank::Stopped: return true;
    case Rank::Down:
    case Rank::Degraded:
    case Rank::Waiting:
    case Rank::Unknown: return false;
    }
    return false;
}

std::string short_reason(const Json& service, const Json& services, std::int64_t now_ms) {
    std::vector<std::string> parts;
    std::string reason = service["reason"].text();
    const bool blocked = !service["blocked_by"].text().empty();
    if (blocked && (reason.empty() || reason.starts_with("needs "))) {
        reason = blocked_text(service, services);
    }
    if (service["paused"].boolean()) parts.push_back(paused_text(service, now_ms));
    const std::string state = service["state"].text();
    if (!reason.empty() && reason != state) parts.push_back(reason);
    const bool retries = state == "backoff" || state == "cooldown";
    if (retries && reason.find("next try") == std::string::npos) {
        if (std::string next = next_try(service, now_ms); !next.empty()) parts.push_back(next);
    }
    std::string out;
    for (const auto& part : parts) out += (out.empty() ? "" : "; ") + safe_text(part);
    return out;
}

std::vector<std::string> problems_first(const Json& status, std::vector<std::string> keys) {
    const Json services = status["services"];
    std::vector<std::pair<Rank, std::string>> ranked;
    ranked.reserve(keys.size());
    for (auto& key : keys) ranked.emplace_back(rank_of(services[key]), std::move(key));
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = std::move(ranked[i].second);
    return keys;
}

std::string render_rows(const Json& status, const std::vector<std::string>& keys,
                        std::int64_t now_ms, const Style& style, bool heading) {
    const int longest_name = style.width < 120 ? 24 : 40;
    Table table({{"NAME", 0, longest_name},
                 {"KIND", 1},
                 {"STATE"},
                 {"HEALTH"},
                 {"PID", 6},
                 {"UPTIME", 5},
                 {"RESTARTS", 4},
                 {"CPU", 2},
                 {"MEM", 3},
                 {"REASON"}});
    const Json services = status["services"];
    for (const auto& key : keys) table.add(row_of(services[key], services, now_ms, style));
    return table.render(style, heading);
}

std::string render_table(const Json& status, const std::vector<std::string>& keys,
                         std::int64_t now_ms, const Style& style, bool heading) {
    if (keys.empty()) return "";
    return render_rows(status, problems_first(status, keys), now_ms, style, heading);
}

std::string render_counts(const Json& status, const std::vector<std::string>& keys) {
    std::map<Rank, std::uint64_t> counts;
    for (const auto& key : keys) ++counts[verdict_rank(status["services"][key])];
    std::string out = plural(keys.size(), "unit");
    const char* separator = ": ";
    for (const Rank rank : {Rank::Healthy, Rank::Degraded, Rank::Down, Rank::Waiting, Rank::Unknown,
                            Rank::Completed, Rank::Stopped}) {
        if (counts[rank] == 0) continue;
        out += separator + std::to_string(counts[rank]) + " " + mark_of(rank).word;
        separator = ", ";
    }
    return out;
}

std::string render_health(const Json& status) {
    const Json services = status["services"];
    Rank worst = Rank::Healthy;
    std::string details;
    for (const auto& key : services.keys()) {
        const Json service = services[key];
        if (counts_as_well(service)) continue;
        const Rank rank = verdict_rank(service);
        worst = std::min(worst, rank);
        const std::string reason = safe_text(service["reason"].text());
        details += (details.empty() ? "" : ", ") + safe_text(key) + " " + mark_of(rank).word;
        if (!reason.empty()) details += " (" + reason + ")";
    }
    if (details.empty()) return "healthy: " + render_counts(status, services.keys());
    return std::string(mark_of(worst).word) + ": " + details;
}

} // namespace keepwell::cli
