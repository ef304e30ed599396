// What needs somebody's eyes, above the table of `keepwell top`: the same words as the panel's
// overview has.
#include "supervisor/cli/render.h"

#include <algorithm>
#include <optional>

namespace keepwell::cli {

namespace {

constexpr std::int64_t kDay = 86'400'000;

// Nobody starts it: it has no command, and is looked for again and again.
bool only_watched(const Json& unit) {
    return unit["kind"].text() == "match" && !unit["heal"].boolean(true);
}

// "2 services down, 1 degraded": the first count names what is counted.
std::string problem_counts(const Json& services, const std::vector<std::string>& keys) {
    std::string out;
    for (const Rank rank : {Rank::Down, Rank::Degraded, Rank::Waiting, Rank::Unknown}) {
        const auto n = static_cast<std::uint64_t>(std::ranges::count_if(
            keys, [&](const std::string& key) { return rank_of(services[key]) == rank; }));
        if (n == 0) continue;
        out += out.empty() ? plural(n, "service") : ", " + std::to_string(n);
        out += std::string(" ") + mark_of(rank).word;
    }
    return out;
}

std::string fact_of(const Json& unit, const Json& services, std::int64_t now_ms) {
    std::string fact = short_reason(unit, services, now_ms);
    if (const auto next = fact.find("next try"); next != std::string::npos) {
        fact.erase(next);
        while (fact.ends_with(' ') || fact.ends_with(';')) fact.pop_back();
    }
    const auto since = parse_time(unit["health_since"].text());
    if (!since) return fact;
    const std::string clock = clock_text(*since, false).substr(0, 5);
    const std::string when = now_ms - *since < kDay ? clock : date_text(*since) + " " + clock;
    return fact + (fact.empty() ? "" : ", ") + "since " + when;
}

// The soonest moment at which keepwell tries something by itself.
std::optional<std::int64_t> next_attempt(const Json& unit) {
    const std::string state = unit["state"].text();
    if (state != "backoff" && state != "cooldown") return std::nullopt;
    return parse_time(unit["restarts"]["next_attempt_at"].text());
}

std::string in_time(std::int64_t at, std::int64_t now_ms) {
    const double wait = static_cast<double>(at - now_ms) / 1000;
    return wait < 0.5 ? "now" : "in " + human_age(wait + 0.5);
}

std::string next_step(const Json& unit, std::int64_t now_ms) {
    const std::string key = safe_text(unit["key"].text()), state = unit["state"].text();
    if (unit["paused"].boolean())
        return "Paused: checks go on, nothing is restarted; keepwell resume " + key;
    if (const std::string by = unit["blocked_by"].text(); !by.empty())
        return "Starts by itself when " + safe_text(by) + " is healthy";
    if (const auto at = next_attempt(unit)) {
        const Json restarts = unit["restarts"];
        const std::int64_t budget = restarts["budget"].integer();
        const std::int64_t left = restarts["attempts_left"].integer();
        std::string step = "Restart";
        if (state == "backoff" && budget > 0 && left >= 0)
            step += " " + std::to_string(std::max<std::int64_t>(1, budget - left)) + " of " +
                    std::to_string(budget);
        step += " " + in_time(*at, now_ms);
        return step + "; keepwell restart " + key + " tries at once";
    }
    if (state == "failed" && only_watched(unit))
        return "Only watched: it is up again when its process is there";
    if (state == "failed") return "Given up: keepwell why " + key + ", then keepwell start " + key;
    if (state == "starting" || state == "stopping") return "Being restarted: " + state;
    return "keepwell why " + key + " tells what was seen";
}

std::string problem_headline(const Json& services, const std::vector<std::string>& problems,
                             std::size_t units, std::int64_t now_ms) {
    if (problems.empty())
        return units == 1 ? "The one service is well. Nothing needs you."
                          : "All " + plural(units, "service") + " are well. Nothing needs you.";
    std::optional<std::int64_t> soonest;
    bool given_up = false;
    for (const std::string& key : problems) {
        const auto at = next_attempt(services[key]);
        if (at && (!soonest || *at < *soonest)) soonest = at;
        given_up =
            given_up || (services[key]["state"].text() == "failed" && !only_watched(services[key]));
    }
    std::string text = problem_counts(services, problems) + ". ";
    if (given_up) return text + "Somebody has to look: keepwell has given up on one.";
    if (soonest) return text + "keepwell is on it: next try " + in_time(*soonest, now_ms) + ".";
    return text + "keepwell watches it.";
}

} // namespace

std::vector<std::string> render_problems(const Json& status, const std::vector<std::string>& keys,
                                         std::int64_t now_ms, const Style& style, int rows) {
    const Json services = status["services"];
    std::vector<std::string> problems;
    for (const std::string& key : problems_first(status, keys))
        if (!counts_as_well(services[key])) problems.push_back(key);
    std::vector<std::string> out;
    if (rows < 1 || keys.empty()) return out;
    out.push_back(
        paint(fit(problem_headline(services, problems, keys.size(), now_ms), style.width, style),
              problems.empty() ? Colour::Dim : Colour::Bold, style));
    const auto room = static_cast<std::size_t>((rows - 1) / 2);
    const std::size_t shown =
        problems.size() <= room ? problems.size() : std::max<std::size_t>(room, 1) - 1;
    for (std::size_t i = 0; i < shown; ++i) {
        const Json unit = services[problems[i]];
        const Mark mark = mark_of(rank_of(unit));
        const std::string state = unit["state"].text();
        std::string line = "  " + symbol(mark.symbol, mark.ascii, style) + " " +
                           safe_text(unit["name"].text(problems[i])) + "  " + mark.word;
        if (state != "running" && state != mark.word) line += " · " + safe_text(state);
        const std::string fact = fact_of(unit, services, now_ms);
        if (!fact.empty()) line += "  " + fact;
        out.push_back(paint(fit(line, style.width, style), mark.colour, style));
        out.push_back(fit("    " + next_step(unit, now_ms), style.width, style));
    }
    if (shown > 0 && shown < problems.size())
        out.push_back("    " + std::to_string(problems.size() - shown) + " more, below");
    return out;
}

} // namespace keepwell::cli
