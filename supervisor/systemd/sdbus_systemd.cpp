#include "supervisor/systemd/sdbus_systemd.h"

#include "supervisor/systemd/bus_link.h"
#include "supervisor/systemd/job_table.h"
#include "supervisor/systemd/properties.h"
#include "supervisor/systemd/unit_names.h"

#include <sdbus-c++/sdbus-c++.h>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace keepwell {

using namespace systemd;
using namespace std::chrono_literals;

namespace {

constexpr const char* kUnitInterface = "org.freedesktop.systemd1.Unit";
constexpr Duration kSettle = 100ms;   // changed unit files come in bursts
constexpr Duration kOtherHalf = 50ms; // of a change that two signals tell

// One of ListUnitsByPatterns' answers: name, text, load, active, sub, follows, path, job, type, job
using Listed =
    sdbus::Struct<std::string, std::string, std::string, std::string, std::string, std::string,
                  sdbus::ObjectPath, std::uint32_t, std::string, sdbus::ObjectPath>;

bool at_rest(const SystemdUnitState& s) {
    return s.active_state == "inactive" || s.active_state == "failed";
}

} // namespace

struct SdbusSystemd::Impl final : BusLink::Listener, std::enable_shared_from_this<Impl> {
    using State = std::shared_ptr<const SystemdUnitState>;
    using Refreshed = std::function<void(const SystemdUnitState*)>;
    struct Unit {
        std::uint64_t serial = 0; // a name that is watched anew is another unit
        int watches = 0;          // without those by patterns
        std::string path;         // under which it signals
        SystemdUnitState known;
        State told;
        bool read_once = false;
        bool reading = false;
        bool read_again = false;
        bool in_sync = false; // Up waits for it
        std::vector<Refreshed> waiting;
    };

    Impl(uv::Loop& loop, Offload& offload, Timers& t, const Clock& c, const std::string& bus,
         Limits l)
        : timers(t),
          clock(c),
          limits(l),
          link(std::make_shared<BusLink>(loop, offload, t, c, bus, l.call)),
          jobs(t, c, [this](std::function<void()> f) { tell(std::move(f)); }) {}

    void close() {
        closed = true;
        for (const TimerId timer : {settle, late, reload_end}) timers.cancel(timer);
        link->close();
    }

    // Listener and callbacks are called from here only: outside of the bus library and of every
    // call, and not after close().
    void tell(std::function<void()> f) {
        link->defer([weak = weak_from_this(), f = std::move(f)] {
            const auto self = weak.lock();
            if (self && !self->closed) f();
        });
    }

    // ---- phases

    void set_phase(BusPhase p, const std::string& why) {
        if (p == phase && why == text) return;
        phase = p;
        text = why;
        tell([this, p, why] {
            if (listener != nullptr) listener->on_phase(p, why);
        });
    }

    void link_up() override { read_everything(); }

    void link_lost(const std::string& why) override {
        timers.cancel(std::exchange(settle, 0));
        timers.cancel(std::exchange(reload_end, 0));
        link->set_call_deadline(limits.call);
        sync_left = 0;
        touched.clear();
        for (auto& [name, unit] : units) {
            unit.reading = unit.read_again = unit.in_sync = false;
            hand_out(unit, false);
        }
        set_phase(BusPhase::Lost, why);
        jobs.lose_all(why);
    }

    // Up is told once all of this has been read.
    void read_everything() {
        ++sync_left; // the list itself
        for (auto& [name, unit] : units) join_sync(name, unit);
        list_patterns([this, sync = ++this_sync] {
            if (sync == this_sync) sync_one_less();
        });
    }
    void join_sync(const std::string& name, Unit& unit) {
        if (!unit.in_sync) ++sync_left;
        unit.in_sync = true;
        read(name, unit);
    }
    void leave_sync(Unit& unit) {
        if (std::exchange(unit.in_sync, false)) sync_one_less();
    }
    void sync_one_less() {
        if (sync_left == 0 || --sync_left > 0) return;
        for (auto& [name, unit] : units) tell_now(unit);
        set_phase(BusPhase::Up, "");
    }
    bool syncing() const { return sync_left > 0; }

    void reloading(bool active) {
        if (!active) {
            timers.cancel(std::exchange(reload_end, 0));
            link->set_call_deadline(limits.call);
            if (!syncing()) read_everything();
            return;
        }
        set_phase(BusPhase::Reloading, "systemd reads its unit files");
        sync_left = 0; // what is being read now is not the truth of afterwards
        for (auto& [name, unit] : units) unit.in_sync = false;
        link->set_call_deadline(limits.reload);
        timers.cancel(reload_end);
        reload_end = timers.arm(clock.now() + limits.reload, [weak = weak_from_this()] {
            if (const auto self = weak.lock()) self->link->lose("systemd did not end its reload");
        });
    }

    // ---- reading

    void read(const std::string& name, Unit& unit) {
        if (!link->connected()) return;
        unit.read_again = unit.reading;
        if (std::exchange(unit.reading, true)) return;
        link->call(
            {unit_object_path(name), kProperties, "GetAll",
             [](sdbus::MethodCall& m) { m << ""; }, // of every interface
             [this, name, serial = unit.serial](sdbus::MethodReply* reply, const CallError* error) {
                 const auto it = units.find(name);
                 if (it != units.end() && it->second.serial == serial)
                     was_read(name, it->second, reply, error);
             }});
    }

    void was_read(const std::string& name, Unit& unit, sdbus::MethodReply* reply,
                  const CallError* error) {
        if (error != nullptr) {
            unit.known.name = name;
            unit.known.error = error->name + ": " + error->text;
        } else {
            SystemdUnitState fresh;
            fresh.name = name;
            read_properties(*reply, fresh);
            if (fresh.active_state.empty())
                throw sdbus::Error("org.freedesktop.DBus.Error.InvalidArgs",
                                   "the answer lacks a unit's properties");
            unit.known = std::move(fresh);
            set_path(name, unit, unit_object_path(unit.known.id.empty() ? name : unit.known.id));
        }
        unit.reading = false;
        unit.read_once = true;
        if (std::exchange(unit.read_again, false)) return read(name, unit);
        hand_out(unit, error == nullptr);
        tell_difference(unit);
        leave_sync(unit);
    }

    void hand_out(Unit& unit, bool good) {
        if (unit.waiting.empty()) return;
        const State state = good ? std::make_shared<SystemdUnitState>(unit.known) : nullptr;
        for (auto& done : std::exchange(unit.waiting, {}))
            tell([state, done = std::move(done)] { done(state.get()); });
    }

    void tell_difference(Unit& unit) {
        if (phase == BusPhase::Up) tell_now(unit);
    }
    void tell_now(Unit& unit) {
        if (!unit.read_once) return;
        if (unit.told && same_state(*unit.told, unit.known)) return;
        unit.told = std::make_shared<SystemdUnitState>(unit.known);
        tell([this, state = unit.told] {
            if (listener != nullptr) listener->on_state(*state);
        });
    }

    void set_path(const std::string& name, Unit& unit, std::string path) {
        if (unit.path == path) return;
        forget_path(name, unit);
        unit.path = std::move(path);
        by_path.emplace(unit.path, name);
    }
    void forget_path(const std::string& name, const Unit& unit) {
        const auto [first, last] = by_path.equal_range(unit.path);
        for (auto it = first; it != last; ++it) {
            if (it->second != name) continue;
            by_path.erase(it);
            return;
        }
    }

    // ---- which units

    Unit& add(const std::string& name) {
        Unit& unit = units[name];
        if (unit.serial != 0) return unit;
        unit.serial = next_serial++;
        unit.known.name = name;
        set_path(name, unit, unit_object_path(name));
        if (link->connected()) {
            if (syncing())
                join_sync(name, unit);
            else
                read(name, unit);
        }
        return unit;
    }
    void remove(std::map<std::string, Unit>::iterator it) {
        hand_out(it->second, false);
        forget_path(it->first, it->second);
        const bool counted = it->second.in_sync;
        units.erase(it);
        if (counted) sync_one_less();
    }
    bool by_pattern(const std::string& name) const {
        return std::any_of(patterns.begin(), patterns.end(),
                           [&](const auto& p) { return matches(p.first, name); });
    }
    void gone(const std::string& name) {
        const auto it = units.find(name);
        if (it == units.end() || it->second.watches > 0) return;
        remove(it);
        tell([this, name] {
            if (listener != nullptr) listener->on_gone(name);
        });
    }

    void list_patterns(const std::function<void()>& then) {
        if (patterns.empty()) return then();
        std::vector<std::string> globs;
        for (const auto& [glob, count] : patterns) globs.push_back(glob);
        link->call({kManagerPath, kManager, "ListUnitsByPatterns",
                    [globs](sdbus::MethodCall& m) { m << std::vector<std::string>() << globs; },
                    [this, then](sdbus::MethodReply* reply, const CallError* error) {
                        if (error == nullptr) were_listed(*reply);
                        then();
                    }});
    }
    void were_listed(sdbus::MethodReply& reply) {
        std::vector<Listed> list;
        reply >> list;
        std::vector<std::string> there;
        for (const auto& unit : list) {
            const std::string& name = unit.get<0>();
            if (unit.get<2>() == "not-found" || !by_pattern(name)) continue;
            there.push_back(name);
            add(name);
        }
        std::sort(there.begin(), there.end());
        std::vector<std::string> missing;
        for (const auto& [name, unit] : units)
            if (unit.watches == 0 && !std::binary_search(there.begin(), there.end(), name))
                missing.push_back(name);
        for (const auto& name : missing) gone(name);
    }

    // ---- signals

    void link_signal(sdbus::Message& m) override {
        const std::string member = m.getMemberName();
        if (member == "PropertiesChanged") return properties_changed(m);
        if (member == "JobRemoved") return job_removed(m);
        if (member == "UnitNew" || member == "UnitRemoved") {
            std::string name;
            m >> name;
            return member == "UnitNew" ? unit_new(name) : unit_removed(m);
        }
        if (member == "UnitFilesChanged") return files_changed();
        if (member == "Reloading") {
            bool active = false;
            m >> active;
            return reloading(active);
        }
        if (member == "NameOwnerChanged") {
            std::string name, before, after;
            m >> name >> before >> after;
            if (name == kService && after != link->owner())
                link->lose(after.empty() ? "systemd left the bus" : "systemd came back to the bus");
        }
    }

    void properties_changed(sdbus::Message& m) {
        const auto [first, last] = by_path.equal_range(m.getPath());
        for (auto it = first; it != last; ++it) {
            Unit& unit = units.at(it->second);
            if (!unit.read_once) continue; // the answer that is on its way is younger
            m.rewind(true);
            std::string interface;
            m >> interface;
            const std::string invocation = unit.known.invocation_id;
            read_properties(m, unit.known);
            // A new start may change what does not signal, such as the cgroup; and what was read
            // while it was not loaded says little about what is loaded now.
            if (names_a_known_property(m) || unit.known.invocation_id != invocation ||
                unit.known.load_state != "loaded")
                read(it->second, unit);
            // systemd sends the special interface first and the general one last: what is told
            // between the two would be half of it.
            if (interface == kUnitInterface)
                tell_difference(unit);
            else
                tell_late(it->second);
        }
    }
    void tell_late(const std::string& name) {
        touched.push_back(name);
        if (late != 0) return;
        late = timers.arm(clock.now() + kOtherHalf, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            self->late = 0;
            for (const auto& n : std::exchange(self->touched, {}))
                if (const auto it = self->units.find(n); it != self->units.end())
                    self->tell_difference(it->second);
        });
    }

    void job_removed(sdbus::Message& m) {
        std::uint32_t id = 0;
        sdbus::ObjectPath path;
        std::string name, result;
        m >> id >> path >> name >> result;
        jobs.removed(path, result);
    }

    // A unit at rest is unloaded soon after it was loaded, also when only our reading loaded it. So
    // a name is asked for without loading it, and a unit at rest that is unloaded is not read: both
    // would go round for ever.
    void unit_new(const std::string& name) {
        const auto it = units.find(name);
        if (it == units.end() ? !by_pattern(name)
                              : !it->second.read_once || !at_rest(it->second.known))
            return;
        link->call({kManagerPath, kManager, "GetUnit", [name](sdbus::MethodCall& m) { m << name; },
                    [this, name](sdbus::MethodReply*, const CallError* error) {
                        if (error != nullptr) return;
                        const auto found = units.find(name);
                        if (found != units.end()) return read(name, found->second);
                        if (by_pattern(name)) add(name);
                    }});
    }
    void unit_removed(sdbus::Message& m) {
        if (phase == BusPhase::Reloading) return;
        sdbus::ObjectPath path;
        m >> path;
        const auto [first, last] = by_path.equal_range(path);
        std::vector<std::string> names;
        for (auto it = first; it != last; ++it) names.push_back(it->second);
        for (const auto& name : names) {
            const auto it = units.find(name);
            if (it == units.end()) continue;
            if (it->second.watches == 0)
                gone(name);
            else if (!at_rest(it->second.known))
                read(name, it->second);
        }
    }

    void files_changed() {
        if (settle != 0) return;
        settle = timers.arm(clock.now() + kSettle, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            self->settle = 0;
            for (auto& [name, unit] : self->units) self->read(name, unit);
        });
    }

    Timers& timers;
    const Clock& clock;
    const Limits limits;
    SystemdListener* listener = nullptr;
    bool closed = false;
    BusPhase phase = BusPhase::Connecting;
    std::string text;
    std::map<std::string, Unit> units;
    std::unordered_multimap<std::string, std::string> by_path; // to the names in units
    std::map<std::string, int> patterns;
    std::vector<std::string> touched; // half of their change has come
    std::size_t sync_left = 0;        // answers that Up waits for
    std::uint64_t this_sync = 0;
    std::uint64_t next_serial = 1;
    TimerId settle = 0;
    TimerId late = 0;
    TimerId reload_end = 0;
    std::shared_ptr<BusLink> link;
    JobTable jobs;
};

SdbusSystemd::SdbusSystemd(uv::Loop& loop, Offload& offload, Timers& timers, const Clock& clock,
                           const std::string& bus, Limits limits)
    : impl_(std::make_shared<Impl>(loop, offload, timers, clock, bus, limits)) {
    impl_->link->start(*impl_);
}
SdbusSystemd::~SdbusSystemd() { impl_->close(); }

void SdbusSystemd::set_listener(SystemdListener* listener) { impl_->listener = listener; }
BusPhase SdbusSystemd::phase() const noexcept { return impl_->phase; }
std::string SdbusSystemd::phase_text() const { return impl_->text; }

Status SdbusSystemd::watch(const std::string& name) {
    if (!valid_unit_name(name))
        return Error{"cannot watch \"" + name.substr(0, 300) +
                     "\": it is no name of a systemd unit; write it with its type, as in "
                     "\"nginx.service\""};
    ++impl_->add(name).watches;
    return Done{};
}

void SdbusSystemd::unwatch(const std::string& name) {
    const auto it = impl_->units.find(name);
    if (it == impl_->units.end() || it->second.watches == 0) return;
    if (--it->second.watches == 0 && !impl_->by_pattern(name)) impl_->remove(it);
}

Status SdbusSystemd::watch_pattern(const std::string& glob) {
    if (!valid_unit_glob(glob))
        return Error{"cannot watch \"" + glob.substr(0, 300) +
                     "\": it is no pattern of names of systemd units; write one such as "
                     "\"worker@*.service\""};
    if (++impl_->patterns[glob] == 1 && impl_->link->connected()) impl_->list_patterns([] {});
    return Done{};
}

void SdbusSystemd::unwatch_pattern(const std::string& glob) {
    const auto it = impl_->patterns.find(glob);
    if (it == impl_->patterns.end() || --it->second > 0) return;
    impl_->patterns.erase(it);
    std::vector<std::string> names;
    for (const auto& [name, unit] : impl_->units)
        if (unit.watches == 0 && !impl_->by_pattern(name)) names.push_back(name);
    for (const auto& name : names) impl_->remove(impl_->units.find(name));
}

const SystemdUnitState* SdbusSystemd::state(const std::string& name) const {
    const auto it = impl_->units.find(name);
    return it != impl_->units.end() && it->second.read_once ? &it->second.known : nullptr;
}

void SdbusSystemd::refresh(const std::string& name,
                           std::function<void(const SystemdUnitState*)> done) {
    const auto it = impl_->units.find(name);
    if (it == impl_->units.end() || !impl_->link->connected()) {
        impl_->tell([done = std::move(done)] { done(nullptr); });
        return;
    }
    it->second.waiting.push_back(std::move(done));
    impl_->read(name, it->second);
}

JobId SdbusSystemd::order(UnitVerb verb, const std::string& name, JobMode mode, Duration deadline,
                          JobDone done) {
    const bool up = impl_->phase == BusPhase::Up;
    return impl_->jobs.order(up ? impl_->link.get() : nullptr, impl_->text, verb, name, mode,
                             deadline, std::move(done));
}

JobId SdbusSystemd::kill(const std::string& name, const std::string& who, int signal,
                         JobDone done) {
    const bool up = impl_->phase == BusPhase::Up;
    return impl_->jobs.kill(up ? impl_->link.get() : nullptr, impl_->text, name, who, signal,
                            impl_->limits.call, std::move(done));
}

void SdbusSystemd::forget(JobId id) noexcept { impl_->jobs.forget(id); }

} // namespace keepwell
