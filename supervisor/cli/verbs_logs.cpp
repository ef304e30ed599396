#include "supervisor/cli/verbs.h"
#include "supervisor/config/config.h"
#include "supervisor/logs/log_reader.h"

#include <algorithm>
#include <poll.h>

namespace keepwell::cli {

namespace {

constexpr std::size_t kLinesByDefault = 20;
constexpr int kWaitMs = 1000;

// Where captured output lies and whose: asked of the supervisor, else taken from the configuration,
// so that logs can be read when nothing runs.
struct LogPlace {
    std::string directory;
    std::vector<NamedUnit> units;
};

LogPlace configured_place(Context& context) {
    LoadOptions load;
    load.files = context.options().config;
    load.user_run = user_run();
    const LoadResult loaded = load_configuration(load);
    LogPlace place;
    if (!loaded.ok()) return place;
    place.directory = loaded.config.supervisor.log_dir;
    for (const auto& unit : loaded.config.units)
        place.units.push_back({unit.key, unit.name, unit.group});
    return place;
}

std::string running_log_dir(Context& context) {
    auto answer = context.client().get("/api/runtime");
    if (!answer || answer->status != 200) return {};
    const auto runtime = Json::parse(answer->body);
    return runtime ? (*runtime)["log_dir"].text() : "";
}

LogPlace place_of(Context& context) {
    LogPlace place;
    place.directory = running_log_dir(context);
    if (place.directory.empty()) return configured_place(context);
    if (const auto units = context.units()) place.units = *units;
    return place;
}

// Raw bytes in a pipe; on a terminal nothing of a log is ever obeyed.
void print_line(Context& context, const std::string& key, const std::string& text, bool prefix) {
    if (prefix) {
        const Style& style = context.style();
        context.out() << paint(safe_text(key), Colour::Cyan, style) << " | ";
    }
    context.out() << (context.style().terminal ? safe_log_line(text) : text) << "\n";
}

int print_last(Context& context, const LogPlace& place, const std::vector<std::string>& keys,
               std::size_t n) {
    for (const auto& key : keys) {
        const auto lines = read_last_lines(place.directory, key, n);
        if (!lines) return context.fail(safe_text(lines.error().message));
        for (const auto& line : *lines) print_line(context, key, line, keys.size() > 1);
    }
    return kExitOk;
}

int follow(Context& context, const LogPlace& place, const std::vector<std::string>& keys,
           std::size_t n) {
    auto follower = LogFollower::open(place.directory, keys, n);
    if (!follower) return context.fail(safe_text(follower.error().message));
    const InterruptGuard guard;
    std::string told;
    while (!InterruptGuard::interrupted() && context.out()) {
        const auto lines = follower->poll();
        if (lines) {
            for (const auto& line : *lines)
                print_line(context, line.key, line.text, keys.size() > 1);
            context.out().flush();
            if (!lines->empty()) continue;
        } else if (lines.error().message != told) {
            told = lines.error().message;
            context.note(safe_text(told));
        }
        pollfd wait{follower->wait_fd(), POLLIN, 0};
        (void)poll(&wait, 1, kWaitMs);
    }
    return kExitOk;
}

} // namespace

int verb_logs(Context& context) {
    const LogPlace place = place_of(context);
    if (place.directory.empty()) {
        return context.fail(
            "cannot tell where the logs are: keepwell is not running (no answer at " +
                safe_text(context.client().socket_path()) +
                ") and no configuration can be read; name it with -c FILE",
            kExitNotRunning);
    }
    const auto keys = select_units(place.units, context.options().names);
    if (!keys) return context.fail(keys.error().message, kExitNoSuchUnit);
    const std::size_t n = context.options().count.value_or(kLinesByDefault);
    if (context.options().follow) return follow(context, place, *keys, n);
    return print_last(context, place, *keys, n);
}

std::string last_log_lines(Context& context, const std::string& key, std::size_t n) {
    const std::string directory = running_log_dir(context);
    if (directory.empty()) return {};
    const auto lines = read_last_lines(directory, key, n);
    std::string out;
    if (!lines) return out;
    for (const auto& line : *lines) {
        const std::string safe = safe_log_line(line);
        out += "    " +
               (context.style().terminal ? fit(safe, context.style().width - 4, context.style())
                                         : safe) +
               "\n";
    }
    return out;
}

} // namespace keepwell::cli
