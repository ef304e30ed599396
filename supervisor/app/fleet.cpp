#include "supervisor/app/fleet.h"

#include "supervisor/engine/names.h"
#include "supervisor/engine/record_codec.h"
#include "supervisor/logs/log_names.h"
#include "units/reason.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <random>
#include <spdlog/spdlog.h>

namespace keepwell {

namespace {

constexpr std::size_t kRecordLimit = 900;

std::function<double()> make_jitter() {
    return [engine = std::mt19937_64(std::random_device{}()),
            spread = std::uniform_real_distribution<double>(0.0, 1.0)]() mutable {
        return spread(engine);
    };
}

bool transient(int error) {
    return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE ||
           error == EINTR;
}

} // namespace

Fleet::Fleet(Ports ports, StateFile& state, WantedStore& wanted, EventStore& events,
             const SupervisorSpec& spec)
    : p_(std::move(ports)),
      lag_(p_.loop, p_.clock),
      state_(state),
      wanted_(wanted),
      timeline_(
          p_.clock, [this](UnitIndex i) { return engine_.key_of(i); },
          [&events](const std::string& line) { events.append(line); }),
      engine_(p_.clock, p_.timers, *this, make_jitter()),
      log_scans_([this](const std::string& key) { return log_place(key); }, p_.clock),
      checks_(check_ports(), [this](const Observation& o) { observe(o); }),
      freer_(p_.loop, p_.clock, p_.timers,
             [this](const std::string& key, const std::string& text) {
                 timeline_.note(key, "port", text);
             }),
      dispatcher_({engine_, p_.processes, p_.tasks, checks_,
                   [this](const std::string& key, const std::string& kind,
                          const std::string& text) { timeline_.note(key, kind, text); },
                   [this](std::function<void()> f) { p_.timers.arm(p_.clock.now(), std::move(f)); },
                   [this](UnitIndex i) { note_log_end(i); },
                   [this](UnitIndex i, Duration timeout) { free_port(i, timeout); }},
                  spec.max_parallel_starts),
      actions_({engine_, p_.clock,
                [this](UnitIndex i) {
                    return views_[i].reason_text(engine_.spec(i), engine_.record(i), context(i));
                },
                [this](UnitIndex i) { return survivors(i); }}),
      ready_timer_(p_.loop, [this] { poll_ready_logs(); }),
      recorder_(p_.clock),
      restarts_per_minute_(spec.restarts_per_minute) {
    lag_.on_turn(
        [this](Duration d) { loop_lag_.observe(std::chrono::duration<double>(d).count()); });
}

Fleet::~Fleet() = default;

// ---- units
// ------------------------------------------------------------------------------------------------------

UnitIndex Fleet::add_unit(UnitSpec spec, bool restore) {
    UnitRecord record = initial_record(spec, p_.clock.now());
    if (is_observed(spec.kind)) record.desired = wanted(spec);
    if (restore)
        if (const auto it = state_.stored().find(spec.key); it != state_.stored().end())
            if (auto old = decode_record(it->second, spec)) record = std::move(*old);
    const UnitIndex i = engine_.add(std::move(spec), std::move(record));
    views_[i] = UnitView{};
    remember(i);
    dirty_.insert(i);
    p_.log_added(engine_.spec(i).key, engine_.spec(i).log);
    p_.processes.watch(engine_.spec(i));
    return i;
}

void Fleet::keep_parts(Configuration& config) {
    if (supervisor_.metrics.response != config.supervisor.metrics.response)
        for (const UnitIndex i : engine_.all()) dirty_.insert(i);
    supervisor_ = config.supervisor;
    order_.clear();
    disabled_.clear();
    for (UnitSpec& spec : config.units) {
        order_.push_back(spec.key);
        if (!spec.enabled) disabled_.push_back(std::move(spec));
    }
}

Configuration Fleet::configuration() const {
    Configuration all;
    all.supervisor = supervisor_;
    for (const std::string& key : order_) {
        const auto off = std::find_if(disabled_.begin(), disabled_.end(),
                                      [&](const UnitSpec& u) { return u.key == key; });
        if (off != disabled_.end())
            all.units.push_back(*off);
        else if (const auto p = patterns_.find(key); p != patterns_.end())
            all.units.push_back(p->second.spec);
        else if (const auto i = engine_.find(key))
            all.units.push_back(engine_.spec(*i));
    }
    return all;
}

void Fleet::load(Configuration config) {
    keep_parts(config);
    for (UnitSpec& spec : config.units)
        if (spec.enabled) introduce(std::move(spec), true);
    engine_.link();
    order_document();
}

Desired Fleet::wanted(const UnitSpec& spec) const {
    return wanted_.get(spec.key).value_or(spec.autostart ? Desired::Running : Desired::Stopped);
}

// What others may have started already is started only once it has been looked at.
void Fleet::start_wanted(UnitIndex i) {
    const UnitSpec& spec = engine_.spec(i);
    if (is_observed(spec.kind)) return;
    if (spec.kind == UnitKind::External || wanted(spec) == Desired::Running)
        engine_.post(i, event::Start{}, {"", "autostart", -1});
}

bool Fleet::leaves_alone(UnitIndex i) const {
    const UnitSpec& spec = engine_.spec(i);
    if (spec.kind == UnitKind::External) return true;
    if (!is_observed(spec.kind)) return false;
    const UnitRecord& r = engine_.record(i);
    return (r.main_alive || r.tree_alive) && !p_.processes.started_here(spec.key);
}

void Fleet::retire(UnitIndex i) {
    if (is_observed(engine_.spec(i).kind) && leaves_alone(i))
        engine_.release(i);
    else
        engine_.retire(i);
}

ConfigDiff Fleet::apply(const Configuration& wanted) {
    ConfigDiff d = diff(configuration(), wanted);
    reborn_.clear();
    const auto spec_of = [&](const std::string& key) {
        return *std::find_if(wanted.units.begin(), wanted.units.end(),
                             [&](const UnitSpec& u) { return u.key == key; });
    };
    Configuration parts = wanted;
    keep_parts(parts);
    restarts_per_minute_ = wanted.supervisor.restarts_per_minute;
    dispatcher_.set_max_parallel(wanted.supervisor.max_parallel_starts);
    for (const auto& key : d.removed)
        if (const auto i = engine_.find(key))
            retire(*i);
        else
            forget_pattern(key);
    std::vector<UnitIndex> fresh, again;
    for (const auto& key : d.added)
        if (spec_of(key).enabled)
            if (const auto i = introduce(spec_of(key), false)) fresh.push_back(*i);
    for (const auto* keys : {&d.restarted, &d.updated})
        for (const auto& key : *keys) {
            const UnitSpec spec = spec_of(key);
            const auto i = engine_.find(key);
            if (!i) {
                forget_pattern(key); // its units come again, under the new rules
                if (spec.enabled)
                    if (const auto added = introduce(spec, false)) fresh.push_back(*added);
                continue;
            }
            if (!spec.enabled) {
                retire(*i);
                continue;
            }
            if (engine_.spec(*i).kind != spec.kind ||
                spec.systemd.is_pattern()) { // another host has it from now on
                reborn_.insert_or_assign(key, spec);
                retire(*i);
                continue;
            }
            views_[*i].keep_checks(engine_.spec(*i), spec);
            engine_.replace(*i, spec);
            p_.processes.watch(spec);
            p_.log_added(key, spec.log);
            if (keys == &d.restarted) again.push_back(*i);
            const UnitRecord& r = engine_.record(*i);
            if (r.main_alive || spec.kind == UnitKind::External)
                dispatcher_.effect(*i, effect::StartChecks{r.generation});
        }
    engine_.link();
    for (const UnitIndex i : fresh) start_wanted(i);
    for (const UnitIndex i : again)
        if (engine_.record(i).desired == Desired::Running)
            engine_.post(i, event::Restart{}, {"", "reload", -1});
    order_document();
    p_.changed();
    return d;
}

// Only what is in the document already can be sorted.
std::vector<std::string> Fleet::order() const {
    std::vector<std::string> keys;
    for (const std::string& key : order_) {
        keys.push_back(key);
        if (const auto p = patterns_.find(key); p != patterns_.end())
            keys.insert(keys.end(), p->second.units.begin(), p->second.units.end());
    }
    return keys;
}

void Fleet::order_document() { document().set_order(order()); }

Result<std::vector<UnitIndex>> Fleet::resolve(const std::vector<std::string>& names) const {
    std::vector<const UnitSpec*> specs;
    for (const UnitIndex i : engine_.all())
        if (!engine_.retiring(i)) specs.push_back(&engine_.spec(i));
    const auto keys = resolve_names(specs, names);
    if (!keys) return keys.error();
    std::vector<UnitIndex> found;
    for (const auto& key : *keys) found.push_back(*engine_.find(key));
    return found;
}

void Fleet::want(UnitIndex i, Desired desired) { wanted_.set(engine_.spec(i).key, desired); }

// ---- what the keeper says
// ---------------------------------------------------------------------------------------

void Fleet::on_spawned(const std::string& key, Generation g, std::int64_t pid) {
    // Of a predecessor's asking it may come before the list, which then does not repeat it.
    confirmed_.insert(key);
    if (!reconciled_ && !engine_.find(key)) {
        adopt_unknown(key, g, pid, p_.clock.now());
        return;
    }
    if (const auto i = engine_.find(key)) engine_.post(*i, event::Spawned{g, pid});
}

std::string Fleet::spawn_error(const UnitSpec& spec, SpawnStage stage, int error) const {
    const char* name = nullptr;
    std::string subject;
    if (stage == SpawnStage::Directory) {
        name = "directory";
        subject = spec.process.directory;
    } else if (stage == SpawnStage::Exec) {
        name = "command";
        subject = spec.process.command.empty() ? "" : spec.process.command.front();
    } else if (stage == SpawnStage::Groups || stage == SpawnStage::Gid ||
               stage == SpawnStage::Uid) {
        name = "user";
        subject = spec.process.user ? spec.process.user->name : "";
    } else if (stage == SpawnStage::Prepare && spec.log.mode == LogMode::File) {
        name = "log";
        subject = log_path(supervisor_.log_dir, spec.key);
    }
    std::string text = fmt::format("{}{}{}: {}", to_string(stage), subject.empty() ? "" : " ",
                                   subject, std::strerror(error));
    if (!name) return text;
    const auto it = spec.where.positions.find(name);
    if (it == spec.where.positions.end()) return text;
    return fmt::format("{} (unit.{}.{}, {}:{}:{})", text, spec.key, name, it->second.file,
                       it->second.line, it->second.column);
}

void Fleet::on_spawn_failed(const std::string& key, Generation g, SpawnStage stage, int error,
                            const std::string& why) {
    const auto i = engine_.find(key);
    if (!i) return;
    const std::string text = why.empty() ? spawn_error(engine_.spec(*i), stage, error) : why;
    spdlog::warn("cannot start {}: {}", key, text);
    engine_.post(*i, event::SpawnFailed{g, stage, error, transient(error)}, {text, "", -1});
}

void Fleet::on_exited(const std::string& key, Generation g, const ExitStatus& status) {
    p_.drain_notify(key);
    confirmed_.insert(key);
    auto i = engine_.find(key);
    if (!reconciled_ && !i) {
        i = adopt_unknown(key, g, 0, p_.clock.now());
    } else if (!reconciled_ && engine_.record(*i).generation < g) {
        // Left-overs of an instance that the record does not know: without this they would be met
        // by a new one.
        engine_.post(*i, event::Adopted{g, 0, p_.clock.now()});
    }
    if (i) return engine_.post(*i, event::Exited{g, status});
    p_.processes.ack(key, g);
}

void Fleet::on_tree_empty(const std::string& key, Generation g) {
    p_.drop_notify(key);
    confirmed_.insert(key);
    if (const auto i = engine_.find(key)) return engine_.post(*i, event::TreeEmpty{g});
    p_.processes.ack(key, g);
}

// A unit that left the configuration while no supervisor lived: it gets one stop by the default
// policy.
UnitIndex Fleet::adopt_unknown(const std::string& key, Generation g, std::int64_t pid,
                               Instant started_at) {
    UnitSpec spec;
    spec.key = spec.name = key;
    UnitRecord record = initial_record(spec, p_.clock.now());
    record.generation = g;
    record.desired = Desired::Running;
    const UnitIndex i = engine_.add(spec, std::move(record));
    views_[i] = UnitView{};
    engine_.post(i, event::Adopted{g, pid, started_at});
    engine_.retire(i);
    return i;
}

void Fleet::on_adopted(const std::string& key, Generation g, std::int64_t pid, Instant started_at) {
    confirmed_.insert(key);
    const auto i = engine_.find(key);
    if (!i) {
        adopt_unknown(key, g, pid, started_at);
        return;
    }
    // The record knows of its exit already, only the acknowledgement was lost.
    const UnitRecord& r = engine_.record(*i);
    if (r.generation == g && !r.main_alive && r.state != State::Starting) return;
    engine_.post(*i, event::Adopted{g, pid, started_at});
}

void Fleet::on_list_complete() {
    if (reconciled_) return;
    reconciled_ = true;
    for (const UnitIndex i : engine_.all())
        if (!engine_.retiring(i)) reconcile(i);
    const auto early = std::exchange(early_spawns_, {});
    for (const UnitIndex i : engine_.all()) {
        const UnitRecord& r = engine_.record(i);
        if (early.count(i) != 0 && r.state == State::Starting && !r.main_alive)
            dispatcher_.effect(i, effect::Spawn{r.generation});
    }
    p_.reconciled();
    p_.changed();
}

void Fleet::reconcile(UnitIndex i) {
    const UnitRecord& r = engine_.record(i);
    const UnitSpec& spec = engine_.spec(i);
    const bool restored = state_.stored().count(spec.key) != 0;
    if (confirmed_.count(spec.key) != 0) return;
    if (spec.kind == UnitKind::External) return start_wanted(i);
    if (is_observed(spec.kind)) return; // its host says what is there
    if (r.main_alive || r.tree_alive) {
        const Generation g = r.generation;
        if (r.main_alive) engine_.post(i, event::Exited{g, ExitStatus{}});
        engine_.post(i, event::TreeEmpty{g});
        return;
    }
    // The predecessor died between its decision and the keeper's answer: spawning is idempotent, so
    // ask again.
    if (restored && r.state == State::Starting) {
        early_spawns_.insert(i);
        return;
    }
    // A stop by hand is known to the record before the file of wanted states has it.
    if (restored && r.state == State::Stopped && r.reason.kind == ReasonKind::Operator)
        return want(i, Desired::Stopped);
    if (!restored || r.state == State::Stopped) start_wanted(i);
}

// ---- steps
// ------------------------------------------------------------------------------------------------------

void Fleet::save(const StepInfo& info) {
    const Status s = state_.save(info.spec.key, encode_record(info.after, info.spec, kRecordLimit));
    if (!s && !state_failed_)
        spdlog::error("{}; after a crash of keepwell its counters would be lost",
                      s.error().message);
    state_failed_ = !s;
}

void Fleet::on_step(const StepInfo& info) {
    views_[info.unit].step(info, p_.clock.wall());
    if (info.changed) save(info);
    timeline_.record(info);
    tally_.step(info);
    remember(info);
    count_trips(info);
    stale_ += info.after.stale_events - info.before.stale_events;
    if (const auto* e = std::get_if<event::Exited>(&info.event))
        p_.processes.ack(info.spec.key, e->generation);
    if (const auto* e = std::get_if<event::TreeEmpty>(&info.event))
        p_.processes.ack(info.spec.key, e->generation);
    if (info.after.state != State::Starting) ready_logs_.erase(info.unit);
    if (info.after.generation != info.before.generation) sayings_.erase(info.unit);
    if (std::holds_alternative<event::Exited>(info.event)) look_for_port_holder(info);
    // Somebody's word to stop it came to nothing.
    if (stop_was_refused(info) && info.before.desired == Desired::Stopped)
        want(info.unit, Desired::Running);
    dirty_.insert(info.unit);
    dispatcher_.stepped(info);
    actions_.stepped(info);
    if (info.before.state != info.after.state || info.before.health != info.after.health ||
        info.changed)
        p_.changed();
    if (info.before.state != info.after.state)
        spdlog::debug("{}: {} -> {}", info.spec.key, to_string(info.before.state),
                      to_string(info.after.state));
    check_shutdown();
}

void Fleet::on_effect(UnitIndex i, const Effect& e) {
    // A retry that came due while no supervisor lived: before the list is read, the keeper may hold
    // an exit that nobody acknowledged, and would refuse a new instance beside it.
    // Nobody starts for the end what keepwell does not stop.
    const auto* spawn = std::get_if<effect::Spawn>(&e);
    if (shutting_down() && spawn != nullptr && is_observed(engine_.spec(i).kind))
        return engine_.post(
            i, event::SpawnFailed{spawn->generation, SpawnStage::Prepare, ECANCELED, true});
    if (!reconciled_ && std::holds_alternative<effect::Spawn>(e))
        early_spawns_.insert(i);
    else
        dispatcher_.effect(i, e);
}

void Fleet::on_thrown(const std::string& key, const char* what) noexcept {
    // spdlog catches what it throws itself.
    spdlog::error("{}: internal error, the unit goes on from what is known (report this line): {}",
                  key, what);
}

void Fleet::on_erased(UnitIndex i, const std::string& key) {
    dispatcher_.erased(i);
    ready_logs_.erase(i);
    log_scans_.started(key);
    check_watches_.erase(i);
    port_searches_.erase(i);
    sayings_.erase(i);
    freer_.forget(key);
    recorder_.end(i);
    views_.erase(i);
    tally_.forget(i);
    dirty_.erase(i);
    erased_.push_back(key);
    state_.erase(key);
    timeline_.forget(key);
    p_.log_removed(key);
    p_.processes.forget(key);
    actions_.erased(key);
    p_.changed();
    if (reborn_.count(key) != 0) p_.timers.arm(p_.clock.now(), [this, key] { rebear(key); });
}

// The same key as another kind of unit, once nothing of the old one is left.
void Fleet::rebear(const std::string& key) {
    auto spec = reborn_.extract(key);
    if (spec.empty() || engine_.find(key) || shutting_down()) return;
    const auto i = introduce(std::move(spec.mapped()), false);
    engine_.link();
    if (i) start_wanted(*i);
    order_document();
    p_.changed();
}

// ---- shutdown
// ---------------------------------------------------------------------------------------------------

void Fleet::shut_down(const std::string& who, std::function<void()> done) {
    if (shutting_down()) return;
    shutdown_done_ = std::move(done);
    timeline_.add("", "shutdown", "stops everything, asked by " + who);
    dispatcher_.end();
    std::vector<UnitIndex> children;
    for (const UnitIndex i : engine_.all())
        if (!leaves_alone(i)) children.push_back(i);
    shutdown_id_ = actions_.begin_shutdown(children);
    check_shutdown();
}

void Fleet::check_shutdown() {
    if (!shutting_down() || !shutdown_done_) return;
    for (const UnitIndex i : engine_.all()) {
        const UnitRecord& r = engine_.record(i);
        const bool still =
            !leaves_alone(i) && (r.main_alive || r.tree_alive || r.desired == Desired::Running ||
                                 r.state == State::Starting);
        if (still) return;
    }
    // Not from inside a step: done() tears things down.
    p_.timers.arm(p_.clock.now(), [done = std::exchange(shutdown_done_, {})] { done(); });
}

} // namespace keepwell
