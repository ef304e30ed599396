#include "supervisor/cli/journal_cursor.h"
#include "supervisor/cli/log_view.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/config/config.h"
#include "supervisor/config/values.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/pattern.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <iterator>
#include <map>
#include <optional>
#include <poll.h>

namespace keepwell::cli {

namespace {

constexpr std::size_t kLinesByDefault = 20;
constexpr int kWaitMs = 1000;

struct OtherLogs { // that keepwell does not write
    std::vector<std::string> files;
    std::optional<systemd::JournalQuery> journal;
};

// Where captured output lies and other logs are, whose, and what of it is not shown: asked of the
// supervisor, else taken from the configuration, so that logs can be read when nothing runs.
struct LogPlace {
    std::string directory;
    std::vector<std::string> redact;
    std::vector<NamedUnit> units;
    std::map<std::string, OtherLogs> others; // by key
};

OtherLogs configured_others(const UnitSpec& unit) {
    OtherLogs others{unit.log_files, std::nullopt};
    if (unit.kind != UnitKind::Systemd || unit.systemd.is_pattern()) return others;
    others.journal.emplace();
    others.journal->unit = unit.systemd.unit;
    others.journal->uid = systemd::journal_owner(unit.systemd.bus);
    return others;
}

OtherLogs told_others(const Json& unit) {
    OtherLogs others;
    for (const auto& file : unit["files"].items()) others.files.push_back(file.text());
    const Json journal = unit["journal"];
    if (!journal.is_object()) return others;
    others.journal.emplace();
    others.journal->unit = journal["unit"].text();
    if (!journal["uid"].is_null())
        others.journal->uid = static_cast<std::uint32_t>(journal["uid"].integer());
    return others;
}

LogPlace configured_place(Context& context) {
    LoadOptions load;
    load.files = context.options().config;
    load.user_run = user_run();
    const LoadResult loaded = load_configuration(load);
    LogPlace place;
    if (!loaded.ok()) return place;
    place.directory = loaded.config.supervisor.log_dir;
    place.redact = loaded.config.supervisor.redact;
    for (const auto& unit : loaded.config.units) {
        place.units.push_back({unit.key, unit.name, unit.group});
        place.others.emplace(unit.key, configured_others(unit));
    }
    return place;
}

LogPlace running_place(Context& context) {
    LogPlace place;
    auto answer = context.client().get("/api/runtime");
    if (!answer || answer->status != 200) return place;
    const auto runtime = Json::parse(answer->body);
    if (!runtime) return place;
    place.directory = (*runtime)["log_dir"].text();
    for (const auto& pattern : (*runtime)["redact"].items()) place.redact.push_back(pattern.text());
    const Json logs = (*runtime)["logs"];
    for (const auto& key : logs.keys()) place.others.emplace(key, told_others(logs[key]));
    return place;
}

LogPlace place_of(Context& context) {
    LogPlace place = running_place(context);
    if (place.directory.empty()) return configured_place(context);
    if (const auto units = context.units()) place.units = *units;
    return place;
}

bool has_log(const std::string& directory, const std::string& key) {
    return log_end(directory, key).inode != 0 || !rotated_sequences(directory, key).empty();
}

using Kind = LogView::Kind;

// What is captured of a unit: its stdout and, where it has a file of its own, its stderr.
void add_captured(const LogPlace& place, const std::string& key, const Options& options,
                  std::vector<LogView::Source>& to) {
    const std::string errors = errors_key(key);
    const bool another_unit =
        std::ranges::any_of(place.units, [&](const auto& u) { return u.key == errors; });
    // While following, its first line may still come.
    const bool apart = !another_unit && (options.follow || has_log(place.directory, errors));
    if (!options.only_stderr) to.push_back({key, Kind::Stdout, key, {}, apart});
    if (!options.only_stdout && apart) to.push_back({key, Kind::Stderr, errors, {}, apart});
}

std::vector<LogView::Source> sources_of(const LogPlace& place, const std::vector<std::string>& keys,
                                        const Options& options) {
    std::vector<LogView::Source> sources;
    for (const auto& key : keys) {
        const auto found = place.others.find(key);
        const OtherLogs others = found == place.others.end() ? OtherLogs{} : found->second;
        const bool elsewhere = !others.files.empty() || others.journal;
        const bool captured = has_log(place.directory, key);
        if (!elsewhere || captured) add_captured(place, key, options, sources);
        if (options.only_stderr || options.only_stdout) continue;
        const bool apart = captured || others.journal || others.files.size() > 1;
        for (const auto& file : others.files) sources.push_back({key, Kind::File, file, {}, apart});
        if (others.journal) sources.push_back({key, Kind::Journal, {}, *others.journal, apart});
    }
    return sources;
}

Result<LogQuery> query_of(const Context& context) {
    const Options& o = context.options();
    LogQuery query;
    query.unfinished = !o.follow;
    if (!o.since.empty()) {
        const auto since = parse_since(o.since, context.now_ms());
        if (!since) return since.error();
        query.since_ms = *since;
    }
    if (!o.level.empty()) {
        query.level = level_of_word(o.level);
        if (!query.level) {
            return Error{"cannot use --level " + safe_text(o.level) +
                             ": it is error, warn, info or debug",
                         0};
        }
    }
    query.last = o.count;
    if (!query.since_ms && !query.last) query.last = kLinesByDefault;
    return query;
}

int follow(Context& context, LogView& view, LogBell& bell) {
    const InterruptGuard guard;
    std::string told;
    while (!InterruptGuard::interrupted() && context.out()) {
        const auto shown = view.show_new();
        context.out().flush();
        if (!shown && shown.error().message != told) {
            told = shown.error().message;
            context.note(safe_text(told));
        }
        std::vector<pollfd> wait{{bell.wait_fd(), POLLIN, 0}};
        for (const int fd : view.wait_fds()) wait.push_back({fd, POLLIN, 0}); // -1 is passed over
        (void)poll(wait.data(), wait.size(), kWaitMs);
        bell.answer();
    }
    return kExitOk;
}

// The last n of all the unit's logs, by their times; one that cannot be read is left out.
std::vector<std::string> last_lines(const LogPlace& place, const std::string& key, std::size_t n) {
    LogQuery query;
    query.last = n;
    std::vector<LogEntry> all;
    const auto take = [&all](auto cursor) {
        if (!cursor) return;
        auto lines = cursor->poll();
        if (lines) std::ranges::move(*lines, std::back_inserter(all));
    };
    for (const auto& source : sources_of(place, {key}, Options{})) {
        if (source.kind == Kind::Journal)
            take(JournalCursor::open(source.journal, query));
        else
            take(LogCursor::open(place.directory, source.log, query));
    }
    std::int64_t time = 0; // a line without one belongs to the one before it
    for (LogEntry& entry : all) time = *(entry.time_ms = entry.time_ms.value_or(time));
    std::ranges::stable_sort(all, {}, &LogEntry::time_ms);
    std::vector<std::string> lines;
    for (std::size_t i = all.size() - std::min(n, all.size()); i < all.size(); ++i)
        lines.push_back(std::move(all[i].text));
    return lines;
}

} // namespace

Result<std::int64_t> parse_since(const std::string& text, std::int64_t now_ms) {
    if (const auto ago = config::parse_duration(text)) {
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(ago.value()).count();
        return now_ms - ms;
    }
    if (const auto date = parse_date(text)) return *date;
    const std::time_t now = now_ms / 1000;
    std::tm today{};
    ::localtime_r(&now, &today);
    char date[16];
    std::strftime(date, sizeof date, "%Y-%m-%d ", &today);
    if (auto at = parse_date(date + text)) { // the last time it was so late
        if (*at <= now_ms) return *at;
        today.tm_mday -= 1;
        today.tm_isdst = -1;
        today.tm_hour = 12;
        std::mktime(&today);
        std::strftime(date, sizeof date, "%Y-%m-%d ", &today);
        if (const auto yesterday = parse_date(date + text)) return *yesterday;
    }
    return Error{"cannot use --since " + safe_text(text) +
                     ": write 10m, 2h, 12:30, \"2026-11-22 12:30\" or 2026-11-22T12:30:00Z",
                 0};
}

int verb_logs(Context& context) {
    const auto query = query_of(context);
    if (!query) return context.fail(query.error().message, kExitUsage);
    const LogPlace place = place_of(context);
    if (place.directory.empty()) {
        if (const auto asked = context.client().get("/api/runtime"); !asked)
            if (!nobody_there(asked.error())) return context.unreachable(asked.error());
        return context.fail(
            "cannot tell where the logs are: keepwell is not running (no answer at " +
                safe_text(context.client().socket_path()) +
                ") and no configuration can be read; name it with -c FILE",
            kExitNotRunning);
    }
    const auto keys = select_units(place.units, context.options().names);
    if (!keys) return context.fail(keys.error().message, kExitNoSuchUnit);
    auto redactor = Redactor::compile(place.redact);
    if (!redactor) return context.fail("cannot redact: " + safe_text(redactor.error().message));

    const auto sources = sources_of(place, *keys, context.options());
    std::vector<std::string> names;
    names.reserve(sources.size());
    for (const auto& source : sources)
        if (source.kind != Kind::Journal) names.push_back(source.log);
    // Before the first read, so that nothing is written unseen in between.
    std::optional<LogBell> bell;
    if (context.options().follow) {
        auto opened = LogBell::open(place.directory, names);
        if (!opened) return context.fail(safe_text(opened.error().message));
        bell.emplace(std::move(*opened));
    }
    LogView view(context, std::move(*redactor), keys->size() > 1);
    const Status opened = view.open(place.directory, sources, *query);
    if (!opened) return context.fail(safe_text(opened.error().message));
    const Status shown = view.show_present();
    if (!shown) return context.fail(safe_text(shown.error().message));
    if (bell) return follow(context, view, *bell);
    return view.whole() ? kExitOk : kExitError;
}

std::string last_log_lines(Context& context, const std::string& key, std::size_t n) {
    const LogPlace place = running_place(context);
    const auto redactor = Redactor::compile(place.redact);
    if (place.directory.empty() || !redactor) return {};
    std::string out;
    for (const auto& line : last_lines(place, key, n)) {
        const std::string safe = safe_log_line(redactor.value().apply(line));
        out += "    " +
               (context.style().terminal ? fit(safe, context.style().width - 4, context.style())
                                         : safe) +
               "\n";
    }
    return out;
}

} // namespace keepwell::cli
