// Fleet's half that shows it: snapshots, the status document, figures, logs that are reopened.
#include "supervisor/app/fleet.h"

#include "supervisor/status/json_writer.h"
#include "units/reason.h"

#include <algorithm>
#include <fmt/format.h>

namespace keepwell {

UnitView::Context Fleet::context(UnitIndex i) const {
    return {p_.clock,
            [this](UnitIndex other) { return engine_.key_of(other); },
            [this, i](CheckIndex c) { return checks_.next_run(i, c); },
            p_.processes.owns_tree(engine_.spec(i).key),
            30,
            missing_limits(i),
            supervisor_.metrics.response};
}

UnitSnapshot Fleet::snapshot(UnitIndex i) const {
    UnitSnapshot s = views_.at(i).snapshot(engine_.spec(i), engine_.record(i), context(i));
    s.managed = p_.processes.managed(s.key);
    if (s.managed && s.status_text.empty()) s.status_text = s.managed->status_text;
    return s;
}

void Fleet::write_logs(JsonWriter& w) const {
    w.begin_object();
    for (const UnitIndex i : engine_.all()) {
        const UnitSpec& spec = engine_.spec(i);
        const auto journal = journal_of(spec);
        if (spec.log_files.empty() && !journal) continue;
        w.key(spec.key).begin_object().member("files", spec.log_files).key("journal");
        if (journal)
            w.begin_object().member("unit", journal->unit).member("uid", journal->uid).end_object();
        else
            w.null();
        w.end_object();
    }
    w.end_object();
}

StatusDocument& Fleet::document() {
    for (const auto& key : erased_)
        if (!engine_.find(key)) document_.remove(key);
    erased_.clear();
    for (const UnitIndex i : dirty_) document_.update(snapshot(i));
    dirty_.clear();
    return document_;
}

bool Fleet::has_news() const { return !dirty_.empty() || !erased_.empty() || document_.changed(); }

void Fleet::tick() {
    for (const UnitIndex i : engine_.all()) {
        views_[i].tick(engine_.record(i));
        sync_recorder(i);
        dirty_.insert(i);
    }
}

void Fleet::set_figures(UnitIndex i, const std::string& key, Generation g, ProcessFigures f) {
    if (engine_.find(key) != i) return;
    const UnitRecord& r = engine_.record(i);
    if (!r.main_alive || r.generation != g) return;
    recorder_.figures(i, f.cpu_percent, f.memory_bytes);
    if (views_[i].set_figures(std::move(f))) dirty_.insert(i);
}

void Fleet::add_cpu(UnitIndex i, const std::string& key, metrics::CpuSeconds used) {
    if (engine_.find(key) == i) tally_.add_cpu(i, used);
}

std::vector<metrics::UnitRow> Fleet::metrics_rows() {
    std::vector<metrics::UnitRow> rows;
    for (const std::string& key : order()) {
        const auto i = engine_.find(key);
        if (!i || engine_.retiring(*i)) continue;
        metrics::UnitTally& tally = tally_.of(*i);
        tally.align(engine_.spec(*i));
        tally.stamp(engine_.record(*i), p_.clock);
        rows.push_back({&engine_.spec(*i), &engine_.record(*i), &tally, &views_[*i].figures()});
    }
    return rows;
}

void Fleet::add_host_step(const HostMetrics& m, Duration step) {
    document_.add_host_step(m, p_.clock.wall(), std::chrono::duration<double>(step).count());
}

bool Fleet::can_reopen_log(const std::string& key) const {
    const auto i = engine_.find(key);
    return i && engine_.record(*i).main_alive && !engine_.spec(*i).process.reload_command.empty();
}

void Fleet::reopen_log(const std::string& key) {
    const auto i = engine_.find(key);
    if (!i) return;
    const UnitSpec& spec = engine_.spec(*i);
    const auto done = [this, key, timeout = spec.start_timeout](const TaskResult& r) {
        const bool ok = r.failed_stage == SpawnStage::None && !r.timed_out && r.status.known &&
                        r.status.signal == 0 && r.status.code == 0;
        timeline_.add(key, "log",
                      ok ? "rotated, then reload_command"
                         : "rotated, but reload_command: " + keepwell::describe(r, timeout));
    };
    dispatcher_.run_for(*i, spec.process.reload_command, spec.start_timeout, "reload", done);
}

std::string Fleet::survivors(UnitIndex i) const {
    std::string text;
    for (const Survivor& s : p_.processes.survivors(engine_.spec(i).key))
        text += fmt::format("{}pid {} ({}, state {})", text.empty() ? "" : ", ", s.pid, s.name,
                            s.state);
    return text;
}

std::string Fleet::next_text(UnitIndex i) const {
    const UnitRecord& r = engine_.record(i);
    const Instant now = p_.clock.now();
    const auto in = [&](TimerKind k) {
        return human_duration(
            std::chrono::ceil<std::chrono::seconds>(std::max(Duration{}, *r.deadline(k) - now)));
    };
    if (r.deadline(TimerKind::Retry)) return "next try in " + in(TimerKind::Retry);
    if (r.deadline(TimerKind::Kill))
        return "SIGKILL in " + in(TimerKind::Kill) + " if it does not end";
    if (r.deadline(TimerKind::Reset))
        return "backoff and budget reset in " + in(TimerKind::Reset) + " if it stays healthy";
    if (r.state == State::Starting && r.deadline(TimerKind::Ready))
        return "must be ready within " + in(TimerKind::Ready);
    if (r.state != State::Failed) return "";
    const UnitSpec& spec = engine_.spec(i);
    if (spec.kind == UnitKind::Match && spec.process.start_command.empty() && spec.service.empty())
        return "only watched: it is up again when its process is there";
    return "nothing until: keepwell start " + spec.key;
}

} // namespace keepwell
