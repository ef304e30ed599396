#include "supervisor/app/dispatcher.h"

#include "supervisor/app/dry_run.h"
#include "units/reason.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>

namespace keepwell {

namespace {

// Ready by being alive frees the place at once; a unit that proves itself keeps it until it has.
bool start_is_over(const StepInfo& info) {
    if (info.after.state != State::Starting) return true;
    return info.after.main_alive && info.spec.ready.kind == ReadyKind::Started;
}

} // namespace

std::string describe(const TaskResult& r, Duration timeout) {
    if (r.failed_stage != SpawnStage::None)
        return fmt::format("{}: {}", to_string(r.failed_stage), std::strerror(r.error));
    if (r.timed_out) return "timed out after " + human_duration(timeout);
    std::string text = describe(r.status);
    const std::string output = clean_text(r.output, 200);
    if (!output.empty()) text += ": " + output;
    return text;
}

Dispatcher::Dispatcher(Ports ports, std::uint32_t max_parallel)
    : p_(std::move(ports)), max_parallel_(max_parallel) {}

void Dispatcher::effect(UnitIndex i, const Effect& e) {
    if (dry(i) && held_back(i, e)) return;
    if (const auto* spawn_effect = std::get_if<effect::Spawn>(&e)) {
        pending_[i] = Pending{spawn_effect->generation, 0, false};
        queue_.push_back(i);
        pump();
    } else if (const auto* t = std::get_if<effect::Terminate>(&e)) {
        terminate(i, t->generation);
    } else if (const auto* k = std::get_if<effect::Kill>(&e)) {
        const UnitSpec& spec = p_.engine.spec(i);
        p_.processes.signal(spec.key, k->generation, SIGKILL, scope_of(spec.policy.stop.kill));
    } else if (const auto* s = std::get_if<effect::StartChecks>(&e)) {
        p_.checks.start(i, p_.engine.spec(i), s->generation);
        const auto& counters = p_.engine.record(i).checks;
        for (std::size_t c = 0; c < counters.size();
             ++c) // what was switched off at run time stays off
            if (!counters[c].enabled) p_.checks.set_enabled(i, static_cast<CheckIndex>(c), false);
    } else if (std::holds_alternative<effect::StopChecks>(e)) {
        p_.checks.stop(i);
    } else if (const auto* l = std::get_if<effect::RunLadder>(&e)) {
        ladder(i, *l);
    }
}

// What left the configuration, or ends with keepwell, was started before the dry run.
bool Dispatcher::dry(UnitIndex i) const {
    return p_.engine.spec(i).dry_run && !p_.engine.retiring(i) && !ending_;
}

std::string Dispatcher::service_of(const UnitSpec& spec) const {
    const auto managed = p_.processes.managed(spec.key);
    return managed ? managed->unit : "";
}

// Of a dry run: whatever would touch the unit is only said.
bool Dispatcher::held_back(UnitIndex i, const Effect& e) {
    const UnitSpec& spec = p_.engine.spec(i);
    if (const auto* start = std::get_if<effect::Spawn>(&e)) {
        const event::SpawnFailed held{start->generation, SpawnStage::DryRun, 0, false};
        p_.engine.post(i, held, {would_start(spec, service_of(spec)), "", -1});
        return true;
    }
    if (const auto* stop = std::get_if<effect::Terminate>(&e)) {
        const event::StopFinished held{stop->generation, false, true, false};
        const std::int64_t pid = p_.engine.record(i).pid;
        p_.engine.post(i, held, {would_stop(spec, service_of(spec), pid), "", -1});
        return true;
    }
    return std::holds_alternative<effect::Kill>(e) || std::holds_alternative<effect::RunLadder>(e);
}

void Dispatcher::stepped(const StepInfo& info) {
    if (pending_.count(info.unit) != 0 && info.after.state == State::Starting &&
        info.after.desired == Desired::Stopped && !info.after.main_alive)
        drop(info.unit);
    if (under_way_.count(info.unit) != 0 && start_is_over(info)) {
        under_way_.erase(info.unit);
        pending_.erase(info.unit);
        pump();
    }
}

void Dispatcher::erased(UnitIndex i) {
    p_.checks.stop(i);
    pending_.erase(i);
    if (under_way_.erase(i) != 0) pump();
}

// A start that was not begun, or is still in pre_start, ends without a process.
void Dispatcher::drop(UnitIndex i) {
    const auto it = pending_.find(i);
    if (it == pending_.end() || (it->second.under_way && it->second.pre_start == 0)) return;
    if (it->second.pre_start != 0) p_.tasks.cancel(it->second.pre_start);
    const Generation generation = it->second.generation;
    pending_.erase(it);
    std::erase(queue_, i);
    p_.engine.post(i, event::SpawnFailed{generation, SpawnStage::Prepare, ECANCELED, true});
}

void Dispatcher::pump() {
    while (!queue_.empty() && under_way_.size() < std::max(1U, max_parallel_)) {
        const UnitIndex i = queue_.front();
        queue_.pop_front();
        if (pending_.count(i) != 0) begin(i);
    }
}

void Dispatcher::begin(UnitIndex i) {
    Pending& start = pending_[i];
    start.under_way = true;
    under_way_.insert(i);
    const UnitSpec& spec = p_.engine.spec(i);
    const Generation generation = start.generation;
    if (spec.process.pre_start.empty()) return spawn(i, generation);
    start.pre_start = run_for(
        i, spec.process.pre_start, spec.start_timeout, "pre_start",
        [this, i, generation](const TaskResult& r) {
            const auto it = pending_.find(i);
            if (it == pending_.end() || it->second.generation != generation) return;
            it->second.pre_start = 0;
            const bool ok = r.failed_stage == SpawnStage::None && !r.timed_out &&
                            r.status.signal == 0 && r.status.code == 0;
            if (ok) return spawn(i, generation);
            const int code = r.timed_out            ? ETIMEDOUT
                             : r.status.signal != 0 ? 128 + r.status.signal
                                                    : r.status.code;
            p_.engine.post(i, event::SpawnFailed{generation, SpawnStage::PreStart, code, false},
                           {"pre_start " + describe(r, p_.engine.spec(i).start_timeout), "", -1});
        });
}

void Dispatcher::spawn(UnitIndex i, Generation generation) {
    p_.before_spawn(i);
    p_.processes.spawn(p_.engine.spec(i), generation);
}

TaskId Dispatcher::run_for(UnitIndex i, const Argv& command, Duration timeout,
                           const std::string& label, std::function<void(TaskResult)> done) {
    const UnitSpec& spec = p_.engine.spec(i);
    TaskRequest request;
    request.label = spec.key + "/" + label;
    request.process = spec.process;
    request.process.command = command;
    if (const UnitRecord& r = p_.engine.record(i); r.main_alive)
        request.process.environment.push_back("MAINPID=" + std::to_string(r.pid));
    request.timeout = timeout;
    return p_.tasks.run(request, std::move(done));
}

bool can_reload(const UnitSpec& spec) noexcept {
    return spec.kind == UnitKind::Systemd || !spec.process.reload_command.empty();
}

void Dispatcher::reload(UnitIndex i, Duration timeout,
                        std::function<void(const std::string&)> done) {
    const UnitSpec& spec = p_.engine.spec(i);
    if (p_.processes.reload(spec, done)) return;
    run_for(i, spec.process.reload_command, timeout, "reload",
            [done = std::move(done), timeout](const TaskResult& r) {
                const bool ok = r.failed_stage == SpawnStage::None && !r.timed_out &&
                                r.status.known && r.status.signal == 0 && r.status.code == 0;
                done(ok ? "" : "reload_command: " + describe(r, timeout));
            });
}

void Dispatcher::terminate(UnitIndex i, Generation generation) {
    const UnitSpec& spec = p_.engine.spec(i);
    if (!p_.engine.record(i).main_alive) return signal_leftovers(i, generation);
    // What systemd manages is stopped by its jobs, never beside it.
    if (spec.process.stop_command.empty() || !service_of(spec).empty())
        return signal_stop(i, generation);
    run_for(i, spec.process.stop_command, spec.policy.stop.timeout, "stop_command",
            [this, i, generation, key = spec.key](const TaskResult& r) {
                if (p_.engine.find(key) != i) return;
                const bool ok = r.failed_stage == SpawnStage::None && !r.timed_out &&
                                r.status == ExitStatus{true, 0, 0, false, false};
                if (!ok) {
                    p_.tell(key, "stop",
                            "stop_command failed (" +
                                describe(r, p_.engine.spec(i).policy.stop.timeout) +
                                "); signal instead");
                    signal_stop(i, generation);
                }
                p_.engine.post(i, event::StopFinished{generation, ok});
            });
}

// After an exit the keeper's "tree empty" is mostly right behind: only what outlives the main
// process by a turn of the loop is told to go, so a plain crash costs no signal.
void Dispatcher::signal_leftovers(UnitIndex i, Generation generation) {
    p_.later([this, i, generation, key = p_.engine.key_of(i)] {
        if (p_.engine.find(key) != i) return;
        const UnitRecord& r = p_.engine.record(i);
        if (r.generation == generation && r.tree_alive && r.state == State::Stopping)
            signal_stop(i, generation);
    });
}

void Dispatcher::signal_stop(UnitIndex i, Generation generation) {
    const UnitSpec& spec = p_.engine.spec(i);
    p_.processes.stop(spec, generation, p_.engine.record(i).desired == Desired::Running);
}

void Dispatcher::ladder(UnitIndex i, const effect::RunLadder& step) {
    const UnitSpec& spec = p_.engine.spec(i);
    const LadderStep rung = spec.policy.ladder[step.step];
    const std::string key = spec.key;
    const auto report = [this, key, rung](const std::string& what) {
        return [this, key, rung, what](const TaskResult& r) {
            const bool ok = r.failed_stage == SpawnStage::None && !r.timed_out &&
                            r.status.signal == 0 && r.status.code == 0;
            p_.tell(key, "ladder", what + (ok ? " done" : " failed: " + describe(r, rung.timeout)));
        };
    };
    switch (rung.kind) {
    case LadderKind::Exec:
        p_.tell(key, "ladder", "runs " + rung.command.front());
        run_for(i, rung.command, rung.timeout, "ladder", report(rung.command.front()));
        break;
    case LadderKind::Reload:
        p_.tell(key, "ladder", can_reload(spec) ? "reloads" : "cannot reload: no reload_command");
        if (can_reload(spec))
            reload(i, rung.timeout, [this, key](const std::string& error) {
                p_.tell(key, "ladder", error.empty() ? "reload done" : "reload failed: " + error);
            });
        break;
    case LadderKind::RestartOther:
        p_.tell(key, "ladder", "restarts " + rung.target);
        if (const auto other = p_.engine.find(rung.target))
            p_.engine.post(*other, event::Restart{}, {"", "the ladder of " + key, -1});
        break;
    case LadderKind::FreePort:
        p_.tell(key, "ladder", "frees its ports");
        p_.free_port(i, rung.timeout);
        break;
    case LadderKind::Restart:
    case LadderKind::ResetFailed: break;
    }
}

} // namespace keepwell
