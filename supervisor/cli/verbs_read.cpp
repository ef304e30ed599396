#include "supervisor/cli/fetch.h"
#include "supervisor/cli/past_events.h"
#include "supervisor/cli/render.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/config/config.h"
#include "supervisor/engine/explain.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>

namespace keepwell::cli {

namespace {

constexpr std::size_t kLogLinesInBlock = 5;
constexpr std::size_t kEventsByDefault = 50;
constexpr std::size_t kEventsPage = 10'000;  // the supervisor keeps fewer
constexpr std::size_t kMostEvents = 200'000; // the history keeps no more
constexpr int kEventsPollMs = 250;

int exit_code(const Json& status, const std::vector<std::string>& keys) {
    const bool well = std::all_of(keys.begin(), keys.end(), [&](const std::string& key) {
        return counts_as_well(status["services"][key]);
    });
    return well ? kExitOk : kExitNotWell;
}

void print_blocks(Context& context, const Json& status, const std::vector<std::string>& keys) {
    bool first = true;
    for (const auto& key : keys) {
        if (!first) context.out() << "\n";
        first = false;
        context.out() << render_unit(status["services"][key], context.now_ms(), context.style());
        const std::string lines = last_log_lines(context, key, kLogLinesInBlock);
        if (!lines.empty()) context.out() << "  last output\n" << lines;
    }
}

void print_table(Context& context, const Json& status, const std::vector<std::string>& keys) {
    const bool heading = context.options().heading;
    context.out() << render_table(status, keys, context.now_ms(), context.style(), heading);
    if (heading) context.out() << render_counts(status, keys) << "\n";
}

void print_units_json(Context& context, const Json& status, const std::vector<std::string>& keys) {
    if (context.options().names.empty()) return print_json(context, status);
    if (keys.size() == 1) return print_json(context, status["services"][keys.front()]);
    std::string list;
    for (const auto& key : keys) {
        list +=
            (list.empty() ? "" : ",") + json_quote(key) + ":" + status["services"][key].dump(-1);
    }
    if (const auto parsed = Json::parse("{" + list + "}")) print_json(context, *parsed);
}

// Who reads the output gets what was last known, and the exit code that says that nobody runs.
void print_old_status(Context& context) {
    const auto status = old_status(context);
    if (!status) return;
    const auto keys = select_units(units_of(*status), context.options().names);
    if (keys) print_units_json(context, *status, *keys);
}

// A policy can be explained without a running supervisor, from the configuration.
std::optional<Json> explain_from_config(Context& context, const std::string& name) {
    LoadOptions load;
    load.files = context.options().config;
    load.user_run = user_run();
    const LoadResult loaded = load_configuration(load);
    if (!loaded.ok()) return std::nullopt;
    std::vector<NamedUnit> known;
    for (const auto& unit : loaded.config.units) known.push_back({unit.key, unit.name, unit.group});
    const auto keys = select_units(known, {name});
    if (!keys) return std::nullopt;
    for (const auto& unit : loaded.config.units) {
        if (unit.key != keys->front()) continue;
        std::string lines;
        for (const auto& line : explain_policy(unit)) {
            lines += (lines.empty() ? "" : ",") + ("{\"topic\":" + json_quote(line.topic)) +
                     ",\"text\":" + json_quote(line.text) + "}";
        }
        const auto parsed = Json::parse("{\"service\":" + json_quote(unit.key) +
                                        ",\"policy\":" + json_quote(policy_title(unit)) +
                                        ",\"lines\":[" + lines + "]}");
        if (parsed) return *parsed;
    }
    return std::nullopt;
}

// From the running supervisor, else from the configuration.
Fetched fetch_explain(Context& context, const std::string& name) {
    const std::string path = "/api/explain/" + url_part(name);
    auto answer = context.client().get(path);
    if (!answer && nobody_there(answer.error())) {
        if (auto document = explain_from_config(context, name)) {
            context.note("not running; this is what the configuration says");
            return {document, kExitOk};
        }
    }
    return fetch(context, path, {name});
}

// Every name as keys; globs and groups have to be resolved here.
Fetched each_named(Context& context, std::vector<std::string>& keys) {
    const auto known = context.units();
    if (!known) {
        if (!nobody_there(known.error())) return {std::nullopt, context.unreachable(known.error())};
        keys = context.options().names;
        return {Json{}, kExitOk};
    }
    const auto chosen = select_units(*known, context.options().names);
    if (!chosen) return {std::nullopt, context.fail(chosen.error().message, kExitNoSuchUnit)};
    keys = *chosen;
    return {Json{}, kExitOk};
}

int print_each(Context& context, const std::function<Fetched(const std::string&)>& get,
               const std::function<std::string(const Json&)>& render) {
    std::vector<std::string> keys;
    if (const Fetched names = each_named(context, keys); !names.document) return names.code;
    bool first = true;
    for (const auto& key : keys) {
        const Fetched got = get(key);
        if (!got.document) return got.code;
        if (context.options().json) {
            print_json(context, *got.document);
            continue;
        }
        if (!first) context.out() << "\n";
        first = false;
        context.out() << render(*got.document);
    }
    return kExitOk;
}

std::string events_path(std::int64_t since) {
    return "/api/events?since=" + std::to_string(since) + "&limit=" + std::to_string(kEventsPage);
}

void print_event(Context& context, const Json& event) {
    if (context.options().json)
        context.out() << event.dump(-1) << "\n";
    else
        context.out() << render_event(event, context.now_ms(), context.style());
}

// Events after `since` until interrupted; survives a restart of the supervisor.
int follow_events(Context& context, std::int64_t since) {
    const InterruptGuard guard;
    bool away = false;
    while (!InterruptGuard::interrupted() && context.out()) {
        context.out().flush();
        sleep_ms(kEventsPollMs);
        auto answer = context.client().get(events_path(since));
        const auto parsed = answer && answer->status == 200 ? Json::parse(answer->body)
                                                            : Result<Json>(Error{"no answer"});
        if (!parsed) {
            if (!away) context.note("no answer; waiting for the supervisor");
            away = true;
            continue;
        }
        away = false;
        for (const auto& event : (*parsed)["events"].items()) {
            since = std::max(since, event["sequence"].integer());
            print_event(context, event);
        }
        since = std::min(since, std::max((*parsed)["last"].integer(since), std::int64_t{0}));
    }
    return kExitOk;
}

} // namespace

int verb_status(Context& context) {
    const Fetched got = context.options().once ? status_once(context) : fetch_status(context);
    if (!got.document) {
        if (got.code == kExitNotRunning && context.options().json && !context.options().once)
            print_old_status(context);
        return got.code;
    }
    const Json& status = *got.document;
    const auto chosen = select_units(units_of(status), context.options().names);
    if (!chosen) return context.fail(chosen.error().message, kExitNoSuchUnit);
    const std::vector<std::string>& keys = *chosen;
    const bool one = context.options().names.size() == 1 && keys.size() == 1;
    if (context.options().json)
        print_units_json(context, status, keys);
    else if (one || context.options().command == Command::Show)
        print_blocks(context, status, keys);
    else
        print_table(context, status, keys);
    const std::string note = status["note"].text();
    if (!note.empty() && !context.options().json) context.note(safe_text(note));
    return exit_code(status, keys);
}

int verb_health(Context& context) {
    const Fetched got = fetch_status(context);
    if (!got.document) return got.code;
    if (context.options().json) {
        const Fetched health = fetch(context, "/api/health");
        if (!health.document) return health.code;
        print_json(context, *health.document);
    } else {
        context.out() << render_health(*got.document) << "\n";
    }
    return exit_code(*got.document, (*got.document)["services"].keys());
}

// {"checks":[…]} of these units alone.
Json checks_of(const Json& all, const std::vector<std::string>& keys) {
    std::string text;
    for (const Json& check : all["checks"].items())
        if (std::ranges::find(keys, check["service"].text()) != keys.end())
            text += (text.empty() ? "" : ",") + check.dump(-1);
    const auto chosen = Json::parse("{\"checks\":[" + text + "]}");
    return chosen ? *chosen : Json{};
}

int verb_checks(Context& context) {
    const Fetched status = fetch_status(context);
    if (!status.document) return status.code;
    const auto keys = select_units(units_of(*status.document), context.options().names);
    if (!keys) return context.fail(keys.error().message, kExitNoSuchUnit);
    Json checks = checks_of_status(*status.document);
    if (const auto answer = context.client().get("/api/checks"); answer && answer->status == 200) {
        if (const auto parsed = Json::parse(answer->body)) checks = *parsed;
    }
    if (context.options().json) {
        if (!context.options().names.empty()) checks = checks_of(checks, *keys);
        print_json(context, checks);
    } else {
        const bool heading = context.options().heading;
        context.out() << render_checks(checks, *keys, context.now_ms(), context.style(), heading);
    }
    return kExitOk;
}

int verb_graph(Context& context) {
    const Fetched got = fetch_status(context);
    if (!got.document) return got.code;
    const auto keys = select_units(units_of(*got.document), context.options().names);
    if (!keys) return context.fail(keys.error().message, kExitNoSuchUnit);
    if (context.options().json) {
        const auto graph = Json::parse(graph_json(*got.document, *keys));
        if (graph) print_json(context, *graph);
    } else if (context.options().dot) {
        context.out() << graph_dot(*got.document, *keys);
    } else {
        context.out() << render_graph(*got.document, *keys, context.style());
    }
    return kExitOk;
}

int verb_why(Context& context) {
    const std::size_t incidents = context.options().count.value_or(3);
    return print_each(
        context,
        [&](const std::string& key) { return fetch(context, "/api/why/" + url_part(key), {key}); },
        [&](const Json& why) {
            return render_why(why, incidents, context.now_ms(), context.style());
        });
}

int verb_explain(Context& context) {
    return print_each(
        context, [&](const std::string& key) { return fetch_explain(context, key); },
        [&](const Json& explain) { return render_explain(explain, context.style()); });
}

int verb_events(Context& context) {
    const Options& options = context.options();
    const Fetched got = fetch(context, events_path(0));
    if (!got.document) return got.code;
    std::vector<Json> events = (*got.document)["events"].items();
    if (!options.since.empty()) {
        const auto from = parse_since(options.since, context.now_ms());
        if (!from) return context.fail(from.error().message, kExitUsage);
        if (auto past = past_events(context, *from, options.count.value_or(kMostEvents)))
            events = std::move(*past);
        std::erase_if(events, [&](const Json& event) {
            return parse_time(event["time"].text()).value_or(0) < *from;
        });
    }
    const std::size_t all = options.since.empty() ? kEventsByDefault : events.size();
    const std::size_t wanted = options.count.value_or(all);
    if (events.size() > wanted)
        events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(wanted));
    const std::int64_t last = (*got.document)["last"].integer();
    if (options.json && !options.follow) {
        std::string list;
        for (const auto& event : events) list += (list.empty() ? "" : ",") + event.dump(-1);
        const auto document =
            Json::parse("{\"events\":[" + list + "],\"last\":" + std::to_string(last) + "}");
        if (document) print_json(context, *document);
        return kExitOk;
    }
    for (const auto& event : events) print_event(context, event);
    return options.follow ? follow_events(context, last) : kExitOk;
}

} // namespace keepwell::cli
