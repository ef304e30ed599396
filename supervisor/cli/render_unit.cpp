#include "supervisor/cli/render.h"
#include "supervisor/cli/table.h"
#include "units/types.h"

#include <algorithm>

namespace keepwell::cli {

namespace {

constexpr int kTopicWidth = 10;

double seconds_between(std::int64_t from_ms, std::int64_t to_ms) {
    return static_cast<double>(to_ms - from_ms) / 1000;
}

std::string ago(const Json& time, std::int64_t now_ms) {
    const auto at = parse_time(time.text());
    return at ? human_age(seconds_between(*at, now_ms)) + " ago" : "";
}

std::string in(const Json& time, std::int64_t now_ms) {
    const auto at = parse_time(time.text());
    if (!at) return "";
    return *at <= now_ms + 500 ? "now" : "in " + human_age(seconds_between(now_ms, *at) + 0.5);
}

void add(std::string& list, const std::string& text, const char* separator = ", ") {
    if (text.empty()) return;
    list += (list.empty() ? "" : separator) + text;
}

std::string joined(const Json& texts) {
    std::string out;
    for (const auto& item : texts.items()) add(out, safe_text(item.text()), " ");
    return out;
}

std::string process_text(const Json& s, std::int64_t now_ms) {
    if (!s["pid"].number()) return {};
    std::string out = std::to_string(s["pid"].integer());
    if (const auto since = parse_time(s["started_at"].text())) {
        add(out, "up " + human_age(seconds_between(*since, now_ms)));
    }
    if (const auto cpu = s["cpu_percent"].number()) {
        char text[32];
        std::snprintf(text, sizeof text, "%.1f%% CPU", *cpu);
        add(out, text);
    }
    if (const auto memory = s["memory_bytes"].number()) add(out, human_bytes(*memory) + " memory");
    if (s["threads"].number()) {
        add(out, plural(static_cast<std::uint64_t>(s["threads"].integer()), "thread"));
    }
    if (s["open_fds"].number()) {
        add(out, plural(static_cast<std::uint64_t>(s["open_fds"].integer()), "open file"));
    }
    return out;
}

std::string exit_text(const Json& exit, std::int64_t now_ms) {
    if (exit["at"].text().empty()) return {};
    ExitStatus status;
    status.known = exit["code"].number() || exit["signal"].number();
    status.code = static_cast<int>(exit["code"].integer());
    status.signal = static_cast<int>(exit["signal"].integer());
    status.core = exit["core"].boolean();
    status.oom = exit["oom"].boolean();
    return describe(status) + ", " + ago(exit["at"], now_ms);
}

std::string restarts_text(const Json& unit, std::int64_t now_ms) {
    const Json restarts = unit["restarts"];
    std::string out = std::to_string(restarts["total"].integer());
    if (const std::string last = ago(restarts["last_at"], now_ms); !last.empty()) {
        const std::string trigger = safe_text(restarts["last_trigger"].text());
        add(out, "last " + last + (trigger.empty() ? "" : " (" + trigger + ")"));
    }
    const std::int64_t budget = restarts["budget"].integer();
    if (budget > 0 && unit["heal"].boolean(true)) { // else nothing spends it
        add(out, std::to_string(restarts["attempts_left"].integer()) + " of " +
                     std::to_string(budget) + " left before cooldown");
    }
    if (restarts["flapping"].boolean()) add(out, "flapping");
    return out;
}

Colour check_colour(const std::string& status) {
    if (status == "pass") return Colour::Green;
    if (status == "warn") return Colour::Yellow;
    return status == "fail" ? Colour::Red : Colour::Cyan;
}

std::string failures_text(const Json& check) {
    return std::to_string(check["consecutive_failures"].integer()) + "/" +
           std::to_string(check["failures"].integer());
}

std::string status_text(const Json& check) {
    const bool off = !check["enabled"].is_null() && !check["enabled"].boolean();
    return off ? "off" : safe_text(check["status"].text("unknown"));
}

std::string unit_checks(const Json& service, std::int64_t now_ms, const Style& style) {
    Table table({{""}, {"CHECK", 0, 24}, {"STATUS"}, {"FAILURES"}, {"TOOK"}, {"LAST"}, {"OUTPUT"}});
    for (const auto& check : service["checks"].items()) {
        const auto took = check["duration_ms"].number();
        const std::string status = status_text(check);
        const std::string last = ago(check["time"], now_ms);
        table.add({{"  ", Colour::None, {}},
                   {safe_text(check["id"].text()), Colour::None, {}},
                   {status, check_colour(status), {}},
                   {failures_text(check), Colour::None, {}},
                   {took ? human_ms(*took) : "-", Colour::None, {}},
                   {last.empty() ? "never run" : last, Colour::None, {}},
                   {safe_text(check["output"].text()), Colour::None, {}}});
    }
    return table.render(style, false);
}

std::string headline(const Json& s, std::int64_t now_ms, const Style& style) {
    const std::string state = s["state"].text("unknown");
    const std::string health = s["health"]["status"].text("unknown");
    std::string out = safe_text(s["key"].text());
    out = paint(out, Colour::Bold, style);
    if (s["name"].text() != s["key"].text()) out += " (" + safe_text(s["name"].text()) + ")";
    out += "  " + safe_text(s["kind"].text()) + ", " + safe_text(state);
    if (const auto since = parse_time(s["state_since"].text())) {
        out += " for " + human_age(seconds_between(*since, now_ms));
    }
    const Colour colour = health == "healthy"    ? Colour::Green
                          : health == "degraded" ? Colour::Yellow
                          : health == "down"     ? Colour::Red
                                                 : Colour::Cyan;
    out += ", " + paint(safe_text(health), colour, style);
    const std::string wanted = s["desired_state"].text();
    const bool agrees = state == wanted || state == "completed";
    if (!agrees && !wanted.empty()) out += " (shall be " + safe_text(wanted) + ")";
    return out;
}

std::string next_text(const Json& s, std::int64_t now_ms) {
    std::string out;
    const Json restarts = s["restarts"];
    if (const auto next = in(restarts["next_attempt_at"], now_ms); !next.empty()) {
        add(out, "start " + next);
    }
    if (const auto check = in(s["next_check_at"], now_ms); !check.empty())
        add(out, "check " + check);
    return out;
}

} // namespace

std::string render_unit(const Json& s, std::int64_t now_ms, const Style& style) {
    std::string out = headline(s, now_ms, style) + "\n";
    const auto line = [&](const char* topic, const std::string& text) {
        if (text.empty()) return;
        const std::string start = "  " + pad(topic, kTopicWidth) + "  ";
        out += start + text + "\n";
    };
    line("about", safe_text(s["description"].text()));
    line("reason", short_reason(s, Json{}, now_ms));
    line("says", safe_text(s["status_text"].text()));
    line("process", process_text(s, now_ms));
    // Of a unit of another kind: whose daemon it is, and who starts and stops it.
    if (const std::string owner = safe_text(s["systemd"]["unit"].text());
        !owner.empty() && s["kind"].text() != "systemd")
        line("service", "belongs to " + owner + " of systemd, which starts and stops it");
    line("group", safe_text(s["group"].text()));
    line("tags", joined(s["tags"]));
    line("requires", joined(s["requires"]));
    line("restarts", restarts_text(s, now_ms));
    line("last exit", exit_text(s["last_exit"], now_ms));
    line("next", next_text(s, now_ms));
    for (const auto& warning : s["warnings"].items()) line("warning", safe_text(warning.text()));
    const std::string checks = unit_checks(s, now_ms, style);
    if (!checks.empty()) out += "  checks\n" + checks;
    line("more", "keepwell why " + safe_text(s["key"].text()));
    return out;
}

Json checks_of_status(const Json& status) {
    std::string list;
    for (const auto& key : status["services"].keys()) {
        for (const auto& check : status["services"][key]["checks"].items()) {
            std::string text = check.dump(-1);
            text.insert(1, "\"service\":" + json_quote(key) + (text == "{}" ? "" : ","));
            list += (list.empty() ? "" : ",") + text;
        }
    }
    const auto parsed = Json::parse("{\"checks\":[" + list + "]}");
    return parsed ? *parsed : Json{};
}

std::string render_checks(const Json& checks, const std::vector<std::string>& keys,
                          std::int64_t now_ms, const Style& style, bool heading) {
    Table table({{"NAME", 0, 34},
                 {"CHECK", 0, 24},
                 {"TYPE", 2},
                 {"STATUS"},
                 {"EFFECT", 1},
                 {"FAILURES"},
                 {"TOOK", 4},
                 {"LAST", 5},
                 {"NEXT", 3},
                 {"OUTPUT"}});
    for (const auto& check : checks["checks"].items()) {
        const std::string service = check["service"].text();
        if (std::find(keys.begin(), keys.end(), service) == keys.end()) continue;
        const auto took = check["duration_ms"].number();
        const std::string status = status_text(check);
        const std::string last = ago(check["time"], now_ms);
        const std::string next = in(check["next_at"], now_ms);
        table.add({{safe_text(service), Colour::None, {}},
                   {safe_text(check["id"].text()), Colour::None, {}},
                   {safe_text(check["type"].text()), Colour::None, {}},
                   {status, check_colour(status), {}},
                   {safe_text(check["effect"].text()), Colour::None, {}},
                   {failures_text(check), Colour::None, {}},
                   {took ? human_ms(*took) : "-", Colour::None, {}},
                   {last.empty() ? "-" : last, Colour::None, {}},
                   {next.empty() ? "-" : next, Colour::None, {}},
                   {safe_text(check["output"].text()), Colour::None, {}}});
    }
    return table.render(style, heading);
}

} // namespace keepwell::cli
