#include "supervisor/app/reload.h"

#include "supervisor/status/json_writer.h"

namespace keepwell {

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

} // namespace keepwell
