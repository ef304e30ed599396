#include "supervisor/app/reload.h"

#include "supervisor/config/last_good.h"
#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <cstdio>
#include <spdlog/spdlog.h>

namespace keepwell {

Result<LoadResult> load_or_last_good(const LoadOptions& options, const std::string& state_dir,
                                     bool safe, std::string& note) {
    LoadResult loaded = load_configuration(options);
    const std::string dir = state_dir.empty() ? loaded.config.supervisor.state_dir : state_dir;
    if (safe) {
        note = kSafeNote;
        LoadResult good = load_last_good(dir, options);
        if (good.ok()) return good;
    }
    if (loaded.ok()) return loaded;
    for (const auto& e : loaded.errors) std::fprintf(stderr, "%s\n", to_string(e).c_str());
    LoadResult good = load_last_good(dir, options);
    if (!good.ok())
        return Error{"cannot start: the configuration has errors and no last good one is kept", 0};
    note = "the configuration has errors; running with the last good one (keepwell validate shows "
           "them)";
    good.warnings.push_back({loaded.errors.front().where, note});
    return good;
}

std::shared_ptr<void> keep_last_good(uv::Loop& loop, const std::string& state_dir,
                                     const LoadResult& loaded) {
    auto error = std::make_shared<std::string>();
    return uv::run_in_pool(
        loop,
        [state_dir, loaded, error] {
            if (const Status s = save_last_good(state_dir, loaded); !s) *error = s.error().message;
        },
        [error] {
            if (!error->empty()) spdlog::error("{}", *error);
        });
}

Result<std::string> apply_reload(Fleet& fleet, LoadResult loaded, bool dry) {
    if (!loaded.ok()) {
        std::string text;
        for (const auto& e : loaded.errors) text += (text.empty() ? "" : "\n") + to_string(e);
        return Error{text, 0};
    }
    const ConfigDiff d = diff(fleet.configuration(), loaded.config);
    if (!dry) {
        // Frozen settings stay as they are until keepwell itself is started again.
        const SupervisorSpec& now = fleet.supervisor();
        SupervisorSpec& wanted = loaded.config.supervisor;
        wanted.runtime_dir = now.runtime_dir;
        wanted.state_dir = now.state_dir;
        wanted.log_dir = now.log_dir;
        wanted.status_file = now.status_file;
        wanted.listen = now.listen;
        if (now.api.tls.has_value() != wanted.api.tls.has_value()) wanted.api.tls = now.api.tls;
        fleet.apply(loaded.config);
    }
    std::string out;
    JsonWriter w(out);
    w.begin_object()
        .member("added", d.added)
        .member("removed", d.removed)
        .member("restarted", d.restarted);
    w.member("updated", d.updated).member("unchanged", d.unchanged).member("frozen", d.frozen);
    w.key("changed").begin_object();
    for (const auto& [key, keys] : d.changed)
        if (!key.empty()) w.member(key, keys);
    w.end_object();
    w.member("supervisor", d.changed.contains("") ? d.changed.at("") : std::vector<std::string>{});
    w.key("warnings").begin_array();
    for (const auto& m : loaded.warnings) w.value(to_string(m));
    w.end_array().end_object();
    return out;
}

void ReloadQueue::ask(Reload r) {
    const auto is_signal = [](const Reload& other) { return other.who == kHangUp; };
    if (is_signal(r) && waiting_.size() > 1 &&
        std::any_of(waiting_.begin() + 1, waiting_.end(), is_signal))
        return;
    waiting_.push_back(std::move(r));
    if (!work_) next();
}

void ReloadQueue::next() {
    if (waiting_.empty()) return;
    p_.begin(waiting_.front().dry);
    auto fresh = std::make_shared<std::optional<LoadResult>>();
    work_ = uv::run_in_pool(
        p_.loop, [fresh, options = p_.load] { *fresh = load_configuration(options); },
        [this, fresh] { finish(std::move(*fresh)); });
}

void ReloadQueue::finish(std::optional<LoadResult> fresh) {
    work_.reset();
    const Reload r = std::move(waiting_.front());
    waiting_.pop_front();
    if (fresh)
        r.done(p_.take(r.dry, r.who, std::move(*fresh)));
    else
        r.done(Error{"cannot reload: the files could not be read to their end (see keepwell's log)",
                     0});
    p_.answered();
    next();
}

} // namespace keepwell
