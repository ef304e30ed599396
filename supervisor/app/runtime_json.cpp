#include "supervisor/app/runtime_json.h"

#include "supervisor/status/json_writer.h"

#include <unistd.h>

namespace keepwell {

std::string runtime_json(const RuntimeFacts& f) {
    const SupervisorSpec& spec = f.loaded.config.supervisor;
    std::string out;
    JsonWriter w(out);
    w.begin_object()
        .member("version", KEEPWELL_VERSION)
        .member("pid", getpid())
        .member("keeper_pid", f.keeper_pid);
    w.member("started_at", f.started_at)
        .member("runtime_dir", spec.runtime_dir)
        .member("state_dir", spec.state_dir);
    w.member("listen", f.listen)
        .member("log_dir", spec.log_dir)
        .member("status_file", spec.status_file)
        .member("config", f.loaded.files)
        .member("redact", spec.redact);
    f.fleet.write_logs(w.member("safe", f.safe).key("logs"));
    w.key("upgrade")
        .begin_object()
        .member("running", f.upgrading)
        .member("error", f.upgrade_error)
        .end_object();
    w.member("dry_run", spec.dry_run)
        .member("note", f.note)
        .member("stale_events", f.fleet.stale_events());
    w.key("warnings").begin_array();
    for (const auto& m : f.loaded.warnings) w.value(to_string(m));
    w.end_array().end_object();
    return out;
}

} // namespace keepwell
