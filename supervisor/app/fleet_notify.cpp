// Fleet's half that takes what daemons say themselves: ready, status, beats, another main process.
#include "supervisor/app/fleet.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace keepwell {

namespace {

constexpr auto kRefusalEvery = 1min;
constexpr auto kAfterRefusal = 100ms; // a daemon that insists does not keep the keeper busy
constexpr auto kLineEvery = 1s; // a daemon that chatters does not push others out of the timeline

} // namespace

void Fleet::on_notify(const std::string& key, Generation g, const NotifyMessage& m) {
    const auto i = engine_.find(key);
    if (!i || engine_.record(*i).generation != g) return;
    if (m.status && views_[*i].set_status(*m.status)) {
        dirty_.insert(*i);
        p_.changed();
    }
    if (m.main_pid) take_main(*i, *m.main_pid);
    if (m.beat || m.trouble) checks_.beat(*i, m.trouble);
    take_phase(*i, m);
    const bool starting = engine_.record(*i).state == State::Starting;
    if (m.ready && starting && engine_.spec(*i).ready.kind == ReadyKind::Notify)
        engine_.post(*i, event::Ready{g});
}

void Fleet::take_phase(UnitIndex i, const NotifyMessage& m) {
    using Phase = Saying::Phase;
    Saying& said = sayings_[i];
    const Phase next = m.stopping                                     ? Phase::Stopping
                       : m.ready && said.phase == Phase::Reloading    ? Phase::None
                       : m.reloading && said.phase != Phase::Stopping ? Phase::Reloading
                                                                      : said.phase;
    if (next == said.phase) return;
    const char* text = next == Phase::Stopping    ? "it says that it is stopping"
                       : next == Phase::Reloading ? "it says that it is reloading"
                                                  : "it says that it has reloaded";
    said.phase = next;
    const Instant now = p_.clock.now();
    if (said.last_line != Instant{} && now - said.last_line < kLineEvery) return;
    said.last_line = now;
    timeline_.note(engine_.key_of(i), "notify", text);
}

// One question at a time; while the keeper thinks, the last wish counts.
void Fleet::take_main(UnitIndex i, std::int64_t pid) {
    const UnitRecord& r = engine_.record(i);
    Saying& said = sayings_[i];
    if (said.main_asked) {
        said.main_wish = pid;
        return;
    }
    if (!r.main_alive || pid == r.pid) return;
    if (said.refused_at && p_.clock.now() - *said.refused_at < kAfterRefusal) {
        if (std::exchange(said.main_wish, pid) != 0) return; // it is waited for already
        p_.timers.arm(*said.refused_at + kAfterRefusal,
                      [this, key = engine_.key_of(i), g = r.generation] { ask_again(key, g); });
        return;
    }
    said.main_asked = true;
    p_.set_main(engine_.key_of(i), r.generation, pid);
}

void Fleet::ask_again(const std::string& key, Generation g) {
    const auto i = engine_.find(key);
    if (!i || engine_.record(*i).generation != g) return;
    const std::int64_t wish = std::exchange(sayings_[*i].main_wish, 0);
    if (wish != 0) take_main(*i, wish);
}

void Fleet::on_main(const std::string& key, Generation g, std::int64_t pid, int error) {
    const auto i = engine_.find(key);
    if (!i || engine_.record(*i).generation != g) return;
    if (error == 0 && pid != engine_.record(*i).pid) engine_.post(*i, event::MainChanged{g, pid});
    Saying& said = sayings_[*i];
    if (error != 0) {
        const Instant now = p_.clock.now();
        said.refused_at = now;
        if (!said.told_at || now - *said.told_at >= kRefusalEvery) {
            said.told_at = now;
            on_notify_refused(key, std::string("MAINPID: ") +
                                       (error == EPERM ? "that is no process of this unit"
                                                       : std::strerror(error)));
        }
    }
    said.main_asked = false;
    ask_again(key, g);
}

void Fleet::on_notify_refused(const std::string& key, const std::string& why) {
    spdlog::warn("{}: refused an sd_notify message: {}", key, why);
    timeline_.add(key, "notify", "refused a message: " + why);
}

Status Fleet::beat(UnitIndex i) {
    const UnitSpec& spec = engine_.spec(i);
    if (!heartbeat_within(spec))
        return Error{fmt::format("cannot take a beat of {}: it has no heartbeat check (add "
                                 "check.heartbeat = {{ within = \"30s\" }})",
                                 spec.key),
                     EINVAL};
    if (!checks_.beat(i))
        return Error{fmt::format("cannot take a beat of {}: it is not running, or its heartbeat "
                                 "check is off",
                                 spec.key),
                     0};
    return Done{};
}

} // namespace keepwell
