// keepwell history, and what keepwell events reads from beyond the supervisor's memory.
#include "supervisor/cli/fetch.h"
#include "supervisor/cli/past_events.h"
#include "supervisor/cli/render_history.h"
#include "supervisor/cli/verbs.h"

#include <algorithm>

namespace keepwell::cli {

namespace {

constexpr std::size_t kPage = 10'000;

std::string page_path(std::int64_t from_ms, std::int64_t sequence) {
    // Milliseconds decide where a page goes on, and unix seconds are too coarse for them.
    return "/api/events?since_time=" + rfc3339_text(from_ms) +
           "&since=" + std::to_string(sequence) + "&limit=" + std::to_string(kPage);
}

} // namespace

std::optional<std::vector<Json>> past_events(Context& context, std::int64_t from_ms,
                                             std::size_t most) {
    std::vector<Json> events;
    std::int64_t at = from_ms, sequence = 0;
    while (true) {
        const auto answer = context.client().get(page_path(at, sequence));
        if (!answer || answer->status != 200) return std::nullopt;
        const auto page = Json::parse(answer->body);
        if (!page) return std::nullopt;
        const std::vector<Json> found = (*page)["events"].items();
        events.insert(events.end(), found.begin(), found.end());
        if (events.size() > most)
            events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(most));
        if (found.empty() || !(*page)["more"].boolean(false)) return events;
        at = parse_time(found.back()["time"].text()).value_or(at);
        sequence = found.back()["sequence"].integer();
    }
}

int verb_history(Context& context) {
    const Options& options = context.options();
    const auto known = context.units();
    if (!known) return context.unreachable(known.error());
    const auto keys = select_units(*known, options.names);
    if (!keys) return context.fail(keys.error().message, kExitNoSuchUnit);
    bool first = true;
    for (const auto& key : *keys) {
        const Fetched got =
            fetch(context, "/api/history/" + url_part(key) + "?range=" + options.range, {key});
        if (!got.document) return got.code;
        if (options.json) {
            print_json(context, *got.document);
            continue;
        }
        if (!first) context.out() << "\n";
        first = false;
        context.out() << render_history(*got.document, context.style());
    }
    return kExitOk;
}

} // namespace keepwell::cli
