// DaemonHost's half about daemons that live in a service of systemd: asked and ordered over the
// bus, never touched beside it. While the bus is away they are unknown and nothing is done.
#include "supervisor/hosts/daemon.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>

namespace keepwell {

namespace {

// A service that is active while nobody is named: its daemon may be about to write its PID.
constexpr int kActiveLooks = 4;

} // namespace

// Who only looks at processes needs no bus for that; an order is refused all the same.
bool DaemonHost::only_looked_at(const Daemon& d) {
    const ProcessSpec& p = d.spec.process;
    return d.spec.kind == UnitKind::Match && d.spec.service.empty() && p.start_command.empty() &&
           p.stop_command.empty();
}

bool DaemonHost::blind(const Daemon& d) const {
    return !d.owner.empty() && !only_looked_at(d) && p_.services.services_blind();
}

// That it has ended, and why: its owner knows, unless nobody can ask it and nobody has to.
bool DaemonHost::owner_judges(const Daemon& d) const {
    return !d.owner.empty() && !(only_looked_at(d) && p_.services.services_blind());
}

void DaemonHost::tell_blind(Daemon& d) {
    const auto blindness = p_.services.services_blind();
    if (!blindness) return;
    d.blinded = true;
    d.starting.reset(); // what becomes of it is seen on return
    if (d.phase == Phase::Away) p_.timers.cancel(std::exchange(d.deadline, 0));
    sights_->on_blind(d.spec.key, blindness->why, blindness->text);
}

void DaemonHost::look_at_services() {
    std::vector<std::string> keys;
    for (const auto& [key, d] : daemons_)
        if (!d->owner.empty()) keys.push_back(key);
    for (const std::string& key : keys) { // what is told may change who is there
        Daemon* d = find(key);
        if (d == nullptr) continue;
        if (blind(*d))
            tell_blind(*d);
        else if (std::exchange(d->blinded, false))
            see_again(*d);
    }
}

void DaemonHost::see_again(Daemon& d) {
    d.reported = d.told_absent = false;
    if (d.phase == Phase::Away) return look_later(d.spec.key);
    if (d.phase != Phase::Held) return;
    if (d.ended) return report_end(d);
    sights_->on_appeared(d.spec.key, d.main.pid, began_at(d.main.start_ticks), d.describe());
}

// What ended belongs to systemd: it knows whether somebody stopped it, or will start it again.
void DaemonHost::ask_owner(const std::string& key) {
    Daemon* d = find(key);
    if (d == nullptr || blind(*d)) return;
    d->reported = d->told_absent = true;
    p_.services.look_at_service(d->owner, d->seen, [this, key](const SystemdSight& sight) {
        if (Daemon* one = find(key)) owner_says(*one, sight);
    });
}

void DaemonHost::owner_says(Daemon& d, const SystemdSight& sight) {
    const bool away = d.phase == Phase::Away;
    if (!away && (d.phase != Phase::Held || !d.ended)) return;
    if (away && d.starting) return; // its own answer comes
    const bool active = sight.kind == SightKind::There && d.active_looks++ < kActiveLooks;
    if (blind(d) || active || sight.kind == SightKind::Coming) {
        d.reported = d.told_absent = false;
        if (!blind(d)) again(d, kServiceAgain);
        return;
    }
    const std::string key = d.spec.key, of_systemd = d.owner + " of systemd";
    const ExitStatus status = away ? ExitStatus{} : d.status;
    if (!away) d.away();
    d.told_absent = true;
    switch (sight.kind) {
    case SightKind::Held:
    case SightKind::Invisible: // until it is something else
        d.told_absent = false;
        again(d, kLookForMatches);
        if (sight.kind == SightKind::Held) return sights_->on_held(key, status, of_systemd);
        return sights_->on_blind(key, sight.why, of_systemd + ": " + sight.text);
    case SightKind::There:
        sights_->on_absent(key, false, status, of_systemd + " is active, but " + d.why);
        break;
    case SightKind::Coming:
    case SightKind::Gone:
        sights_->on_absent(key, sight.on_purpose, status, of_systemd + ": " + sight.text);
        break;
    }
    look_later(key);
}

void DaemonHost::order(Daemon& d, bool start, Generation g) {
    const std::string key = d.spec.key;
    p_.tell(key,
            fmt::format("belongs to {} of systemd: {} job", d.owner, start ? "start" : "stop"));
    if (start) {
        return p_.services.start_service(d.owner, d.spec.start_timeout,
                                         [this, key, g](const ServiceAnswer& a) {
                                             if (Daemon* one = find(key))
                                                 start_answered(*one, g, a);
                                         });
    }
    // systemd's own time limit ends the job; ours only bounds the waiting for it.
    constexpr auto kLongestStop = 15min;
    d.stop_job = true;
    p_.services.stop_service(d.owner, kLongestStop, [this, key, g](const ServiceAnswer& a) {
        if (Daemon* one = find(key)) stop_answered(*one, g, a);
    });
}

void DaemonHost::stop_answered(Daemon& d, Generation g, const ServiceAnswer& a) {
    const std::string key = d.spec.key;
    d.stop_job = false;
    const bool goes_on = d.phase == Phase::Held && !d.ended && d.handle.alive();
    if (a.error.empty() || !goes_on) return;
    sights_->on_stop_refused(key, g, d.owner + " of systemd: " + a.error, a.lost);
    if (Daemon* one = find(key); one != nullptr && blind(*one)) tell_blind(*one);
}

void DaemonHost::start_answered(Daemon& d, Generation g, const ServiceAnswer& a) {
    const std::string key = d.spec.key;
    if (d.starting != g) return; // it was seen meanwhile
    if (!a.error.empty()) {
        // Nobody who could be asked is the host's fault, and no failure of the unit.
        fail_start(d, SpawnStage::Manager, a.lost ? EAGAIN : 0, d.owner + ": " + a.error);
        if (Daemon* one = find(key); one != nullptr && blind(*one)) tell_blind(*one);
        return;
    }
    p_.timers.cancel(d.deadline);
    d.deadline = p_.timers.arm(p_.clock.now() + d.spec.start_timeout, [this, key] {
        Daemon* late = find(key);
        if (late == nullptr) return;
        late->deadline = 0;
        fail_start(*late, SpawnStage::PidFile, 0, "no daemon after the start job: " + late->why);
    });
    search(key);
}

void DaemonHost::signal_by_hand(const std::string& key, Generation g, int signal,
                                std::function<void(const std::string&)> done) {
    Daemon* d = find(key);
    if (d == nullptr) return done("it is not watched");
    if (const auto blindness = p_.services.services_blind(); blindness && blind(*d))
        return done(fmt::format("it belongs to {} of systemd, which cannot be seen ({})", d->owner,
                                to_string(blindness->why)));
    if (d->stop_job && signal == SIGKILL)
        return done("the stop job of " + d->owner + " is under way");
    switch (d->phase) {
    case Phase::Held:
        // By its pidfd: it reaches this process or nobody.
        return done(d->handle.signal(signal) ? "" : std::strerror(errno));
    case Phase::Command:
    case Phase::Awaiting:
    case Phase::Kept: return p_.keeper.signal_by_hand(key, g, signal, std::move(done));
    case Phase::Away:
    case Phase::LeftOvers: return done("its main process is gone");
    }
}

} // namespace keepwell
