// DaemonHost's half that starts: the start command, the wait for the daemon it leaves behind, and
// what is said when there is none.
#include "supervisor/hosts/daemon.h"

#include "units/reason.h"
#include "watchers/procfs.h"

#include <csignal>
#include <cstring>
#include <fmt/format.h>

namespace keepwell {

void DaemonHost::spawn(const UnitSpec& spec, Generation g) {
    Daemon* d = find(spec.key);
    if (d == nullptr) return;
    d->spec = spec;
    d->starting = g;
    d->told_absent = true;
    if (!d->owner.empty()) return order(*d, true, g);
    if (spec.process.start_command.empty()) {
        const std::string text =
            d->why.empty() ? "no start_command" : d->why + ", and there is no start_command";
        p_.timers.arm(p_.clock.now(), [this, key = spec.key, text] {
            if (Daemon* one = find(key)) fail_start(*one, SpawnStage::StartCommand, 0, text);
        });
        return;
    }
    d->phase = Phase::Command;
    d->generation = g;
    UnitSpec command = spec;
    command.process.command = spec.process.start_command;
    p_.keeper.spawn(command, g);
}

void DaemonHost::on_spawned(const std::string& key, Generation g, std::int64_t pid) {
    Daemon* d = find(key);
    if (d == nullptr) return processes_->on_spawned(key, g, pid);
    d->generation = g;
    d->phase = Phase::Command;
    d->command_pid = pid;
    await(*d);
}

void DaemonHost::found_while_starting(Daemon& d, const MainSight& sight) {
    // A start command in the foreground may name itself; before its exec it matches nothing yet.
    const bool shell =
        d.spec.kind == UnitKind::Match && sight.pid == d.command_pid && d.phase == Phase::Command;
    if (sight.pid != 0 && !shell) return take(d, sight);
    if (d.generation == 0) // of its tree nobody is left
        return fail_start(d, SpawnStage::PidFile, 0,
                          "it ended before its PID was known" +
                              (d.why.empty() ? std::string() : ": " + d.why));
    again(d, kLookAgain);
}

void DaemonHost::start_late(Daemon& d) {
    const std::string seen = d.why.empty() ? "" : ": " + d.why;
    const std::string text = fmt::format("no daemon after {}{} (unit.{}.start_timeout)",
                                         human_duration(d.spec.start_timeout), seen, d.spec.key);
    // A foreground command that matches, or was adopted as itself.
    if (d.spec.kind == UnitKind::Match && d.phase == Phase::Command) {
        const auto stat = Procfs().stat(d.command_pid);
        if (stat) {
            MainSight itself;
            itself.pid = d.command_pid;
            itself.start_ticks = stat->start_ticks;
            return take(d, itself);
        }
    }
    if (d.generation == 0) return fail_start(d, SpawnStage::PidFile, 0, text);
    d.failure = Failure{SpawnStage::PidFile, 0, text};
    p_.keeper.signal(d.spec.key, d.generation, SIGKILL, SignalScope::Tree);
}

void DaemonHost::fail_start(Daemon& d, SpawnStage stage, int error, const std::string& text) {
    p_.timers.cancel(std::exchange(d.deadline, 0));
    p_.timers.cancel(std::exchange(d.again, 0));
    d.away();
    d.told_absent = true;
    if (!d.starting) return;
    const Generation g = *std::exchange(d.starting, std::nullopt);
    const std::string key = d.spec.key; // whoever hears of it may forget the daemon
    processes_->on_spawn_failed(key, g, stage, error, text);
    if (const Daemon* one = find(key); one != nullptr && one->phase == Phase::Away) look_later(key);
}

void DaemonHost::on_spawn_failed(const std::string& key, Generation g, SpawnStage stage, int error,
                                 const std::string& text) {
    Daemon* d = find(key);
    if (d == nullptr) return processes_->on_spawn_failed(key, g, stage, error, text);
    const std::string what = text.empty() ? fmt::format("start_command {}: {}: {}",
                                                        d->spec.process.start_command.empty()
                                                            ? ""
                                                            : d->spec.process.start_command.front(),
                                                        to_string(stage), std::strerror(error))
                                          : text;
    d->generation = 0;
    fail_start(*d, stage, error, what);
}

} // namespace keepwell
