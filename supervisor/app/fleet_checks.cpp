// Fleet's half that takes what checks and logs say: results, the storm guard, taken ports,
// readiness.
#include "supervisor/app/fleet.h"

#include "supervisor/app/journal_lines.h"
#include "supervisor/logs/log_names.h"
#include "watchers/port_holder.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr std::uint64_t kReadyPollMs = 100;
constexpr auto kStartFailure = 5s; // an end this early may be a port that is taken
// A check that took this much longer than its deadline: we stood still, not it.
constexpr auto kStallSlack = 2s;

} // namespace

void Fleet::count_trips(const StepInfo& info) {
    const bool by_check = info.before.state == State::Running &&
                          info.after.state == State::Stopping &&
                          info.after.reason.kind == ReasonKind::CheckFailing;
    if (by_check) trips_.push_back(p_.clock.now());
}

bool Fleet::storm_guard_allows() {
    const Instant now = p_.clock.now();
    while (!trips_.empty() && now - trips_.front() > 1min) trips_.pop_front();
    return restarts_per_minute_ == 0 || trips_.size() < restarts_per_minute_;
}

bool Fleet::blamed(const CheckSpec& check) const {
    return std::any_of(check.blames.begin(), check.blames.end(), [&](const std::string& key) {
        const auto i = engine_.find(key);
        if (!i) return false;
        const UnitRecord& r = engine_.record(*i);
        return r.health == Verdict::Down || r.state == State::Stopped || r.state == State::Waiting;
    });
}

void Fleet::observe(const Observation& o) {
    const UnitSpec& spec = engine_.spec(o.unit);
    if (o.check >= spec.checks.size()) return;
    const CheckSpec& check = spec.checks[o.check];
    log_scans_.started(spec.key);
    views_[o.unit].observe(spec, o, p_.clock.wall());
    tally_.observe(spec, o, p_.clock.wall());
    const bool stalled =
        lag_.stalled_since(p_.clock.now() - o.took) || o.took > check.timeout + kStallSlack;
    remember(o, !stalled);
    const bool soft = spec.kind == UnitKind::External && o.soft && o.outcome == CheckOutcome::Fail;
    const event::CheckResult result{o.generation,
                                    o.check,
                                    o.outcome,
                                    o.code,
                                    !stalled && !blamed(check),
                                    storm_guard_allows(),
                                    CheckEffect::Degraded,
                                    soft};
    engine_.post(
        o.unit, result,
        {clean_text(o.output), "", std::chrono::duration<double, std::milli>(o.took).count()});
    const UnitRecord& r = engine_.record(o.unit);
    if (o.check < r.checks.size()) {
        const CheckCounter& c = r.checks[o.check];
        checks_.set_pending(o.unit, o.check, c.failures > 0 && !c.tripped);
    }
    const bool proves = spec.ready.kind == ReadyKind::Check && spec.ready.arg == check.id;
    if (proves && o.outcome != CheckOutcome::Fail && r.state == State::Starting)
        engine_.post(o.unit, event::Ready{o.generation});
    report_checks(o);
}

void Fleet::watch_checks(const std::string& id, UnitIndex i, std::optional<CheckIndex> check) {
    CheckWatch w;
    w.action = id;
    const auto& counters = engine_.record(i).checks;
    for (std::size_t c = 0; c < counters.size(); ++c)
        if ((check ? *check == c : counters[c].enabled) &&
            checks_.has_answer(i, static_cast<CheckIndex>(c)))
            w.left.insert(static_cast<CheckIndex>(c));
    const std::string& key = engine_.spec(i).key;
    const bool active = engine_.record(i).main_alive || engine_.spec(i).kind == UnitKind::External;
    if (w.left.empty())
        return actions_.set(id, key, true, counters.empty() ? "no checks" : "nothing to check");
    if (!active) return actions_.set(id, key, false, "cannot check " + key + ": it is not running");
    check_watches_.emplace(i, std::move(w));
    checks_.run_now(i, check);
}

void Fleet::report_checks(const Observation& o) {
    const bool failed = o.outcome == CheckOutcome::Fail;
    settle_watches(o.unit, o.check, failed ? clean_text(o.output, 120) : std::string());
}

void Fleet::settle_watches(UnitIndex i, CheckIndex c, const std::string& failure) {
    const UnitSpec& spec = engine_.spec(i);
    auto [it, end] = check_watches_.equal_range(i);
    while (it != end) {
        CheckWatch& w = it->second;
        if (w.left.erase(c) != 0 && !failure.empty())
            w.failed.push_back(spec.checks[c].id + ": " + failure);
        if (!w.left.empty()) {
            ++it;
            continue;
        }
        const std::string text =
            w.failed.empty() ? "all checks pass" : fmt::format("{}", fmt::join(w.failed, "; "));
        actions_.set(w.action, spec.key, w.failed.empty(), text);
        p_.changed(); // who asked for the checks wants to see what they say
        it = check_watches_.erase(it);
    }
}

// A daemon that ends right after its start while somebody else listens where its checks look: say
// who. Off the loop, since it reads every process's descriptors.
void Fleet::look_for_port_holder(const StepInfo& info) {
    const bool at_start =
        info.before.main_alive && p_.clock.now() - info.before.started_at < kStartFailure;
    const std::vector<std::uint16_t> ports = checked_ports(info.spec);
    if (!at_start || ports.empty() || info.after.desired != Desired::Running) return;
    auto found = std::make_shared<std::optional<PortHolder>>();
    port_searches_[info.unit] = uv::run_in_pool(
        p_.loop,
        [ports, found] {
            for (const std::uint16_t port : ports)
                if (!*found) *found = find_port_holder(port);
        },
        [this, found, i = info.unit, key = info.spec.key] {
            if (*found && engine_.find(key) == i && engine_.record(i).pid != (*found)->pid)
                port_taken(i, **found);
        });
}

void Fleet::port_taken(UnitIndex i, const PortHolder& holder) {
    const UnitSpec& spec = engine_.spec(i);
    const std::string text =
        fmt::format("port {} is held by {} ({})", holder.port, holder.name, holder.pid);
    timeline_.note(spec.key, "port", text);
    views_[i].set_hint(text);
    dirty_.insert(i);
    p_.changed();
    // A start that fails for it trips no check, so the ladder's turn is here.
    const auto& ladder = spec.policy.ladder;
    const auto step = std::find_if(ladder.begin(), ladder.end(), [](const LadderStep& s) {
        return s.kind == LadderKind::FreePort;
    });
    if (step != ladder.end() && spec.heal && !spec.dry_run && !engine_.record(i).paused)
        free_port(i, step->timeout);
}

void Fleet::free_port(UnitIndex i, Duration timeout) {
    const UnitSpec& spec = engine_.spec(i);
    LeftOverQuery query;
    query.ports = checked_ports(spec);
    query.unit = spec.key;
    char real[PATH_MAX] = {};
    if (realpath(supervisor_.runtime_dir.c_str(), real) != nullptr) query.fleet = real;
    query.uid = spec.process.user ? spec.process.user->uid : geteuid();
    query.tree = tree(i);
    freer_.free(query, timeout);
}

CheckScheduler::Ports Fleet::check_ports() {
    return {p_.mutable_clock,
            p_.timers,
            p_.http,
            p_.tcp,
            p_.tasks,
            p_.offload,
            [this](UnitIndex i) { return tree(i); },
            p_.dns,
            log_scans_,
            p_.systemd,
            [this](UnitIndex i, CheckIndex c, const std::string& why) {
                settle_watches(i, c, "no result: " + why);
            }};
}

// Where its log check reads: what keepwell captures of it, what its daemon writes itself, and what
// systemd's journal has of it.
FileLogScans::Place Fleet::log_place(const std::string& key) const {
    FileLogScans::Place place{supervisor_.log_dir, {}, supervisor_.redact, {}};
    const auto i = engine_.find(key);
    if (!i) return place;
    const UnitSpec& spec = engine_.spec(*i);
    if (spec.kind == UnitKind::Child || !spec.process.start_command.empty())
        place.streams.push_back(key);
    if (spec.log.separate_stderr) place.streams.push_back(errors_key(key));
    place.streams.insert(place.streams.end(), spec.log_files.begin(), spec.log_files.end());
    if (const auto journal = journal_of(spec))
        place.other = [journal = *journal](WallTime from) {
            return std::make_unique<JournalLines>(journal, from);
        };
    return place;
}

std::optional<systemd::JournalQuery> Fleet::journal_of(const UnitSpec& spec) const {
    systemd::JournalQuery query;
    const auto managed = p_.processes.managed(spec.key);
    if (spec.kind != UnitKind::Systemd && !managed) return std::nullopt;
    query.unit = managed ? managed->unit : spec.systemd.unit;
    // A daemon that belongs to a service belongs to one of our own systemd.
    const std::string own = geteuid() == 0 ? "system" : "user";
    query.uid = systemd::journal_owner(spec.kind == UnitKind::Systemd ? spec.systemd.bus : own);
    return query;
}

TreeRef Fleet::tree(UnitIndex i) const {
    return {engine_.record(i).pid, p_.processes.cgroup_of(engine_.spec(i).key)};
}

std::vector<std::string> Fleet::missing_limits(UnitIndex i) const {
    std::vector<std::string> texts;
    for (const std::string& limit : p_.processes.missing_limits(engine_.spec(i).key))
        texts.push_back(
            fmt::format("{0} limit is not enforced here: no delegated {0} controller", limit));
    return texts;
}

void Fleet::set_log(const std::string& key, std::uint64_t dropped, const std::string& error) {
    const auto i = engine_.find(key);
    if (!i) return;
    views_[*i].set_log(dropped, error);
    dirty_.insert(*i);
    p_.changed();
}

// What it prints first shall be seen, too.
void Fleet::note_log_end(UnitIndex i) {
    watch_ready_log(i);
    const UnitSpec& spec = engine_.spec(i);
    if (std::any_of(spec.checks.begin(), spec.checks.end(), [](const CheckSpec& c) {
            return std::holds_alternative<LogCheckSpec>(c.probe);
        }))
        log_scans_.starting(spec.key);
}

void Fleet::watch_ready_log(UnitIndex i) {
    const UnitSpec& spec = engine_.spec(i);
    if (spec.ready.kind != ReadyKind::Log) return;
    auto matcher = LineMatcher::compile(spec.ready.arg);
    if (!matcher) return; // the loader has compiled it already
    const std::string& dir = supervisor_.log_dir;
    ready_logs_.insert_or_assign(
        i, LogWatch(dir, spec.key, log_end(dir, spec.key), std::move(*matcher)));
    ready_timer_.start(kReadyPollMs, kReadyPollMs);
}

void Fleet::poll_ready_logs() {
    std::vector<UnitIndex> ready;
    for (auto& [i, watch] : ready_logs_)
        if (const auto matched = watch.poll(); matched && *matched) ready.push_back(i);
    for (const UnitIndex i : ready) {
        ready_logs_.erase(i);
        engine_.post(i, event::Ready{engine_.record(i).generation});
    }
    if (ready_logs_.empty()) ready_timer_.stop();
}

} // namespace keepwell
