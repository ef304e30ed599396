#include "supervisor/app/control_impl.h"

#include "supervisor/app/dry_run.h"
#include "supervisor/engine/explain.h"
#include "supervisor/status/json_writer.h"
#include "units/reason.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace keepwell {

namespace {

std::optional<CheckIndex> find_check(const UnitSpec& spec, const std::string& id) {
    const auto it = std::find_if(spec.checks.begin(), spec.checks.end(),
                                 [&](const CheckSpec& c) { return c.id == id; });
    if (it == spec.checks.end()) return std::nullopt;
    return static_cast<CheckIndex>(it - spec.checks.begin());
}

} // namespace

Result<UnitIndex> ControlImpl::one(const std::string& name) const {
    const auto found = p_.fleet.resolve({name});
    if (!found) return found.error();
    if (found->size() != 1)
        return Error{
            fmt::format("cannot tell which unit \"{}\" means: it names {}", name, found->size()),
            EINVAL};
    return found->front();
}

std::optional<UnitSnapshot> ControlImpl::unit(const std::string& name) {
    const auto i = one(name);
    if (!i) return std::nullopt;
    return p_.fleet.snapshot(*i);
}

std::vector<UnitSnapshot> ControlImpl::units() {
    std::vector<UnitSnapshot> all;
    for (const std::string& key : p_.fleet.order())
        if (const auto i = p_.fleet.engine().find(key)) all.push_back(p_.fleet.snapshot(*i));
    return all;
}

Result<std::vector<std::string>> ControlImpl::resolve(const std::vector<std::string>& names) {
    const auto found = p_.fleet.resolve(names);
    if (!found) return found.error();
    std::vector<std::string> keys;
    for (const UnitIndex i : *found) keys.push_back(p_.fleet.engine().key_of(i));
    return keys;
}

Result<std::string> ControlImpl::why_json(const std::string& name) {
    const auto i = one(name);
    if (!i) return i.error();
    return p_.fleet.timeline().why_json(p_.fleet.engine().key_of(*i), p_.fleet.next_text(*i));
}

Result<std::string> ControlImpl::explain_json(const std::string& name) {
    const auto i = one(name);
    if (!i) return i.error();
    const UnitSpec& spec = p_.fleet.engine().spec(*i);
    std::string out;
    JsonWriter w(out);
    w.begin_object()
        .member("service", spec.key)
        .member("policy", policy_title(spec))
        .key("lines")
        .begin_array();
    for (const auto& line : explain_policy(spec))
        w.begin_object().member("topic", line.topic).member("text", line.text).end_object();
    w.end_array().end_object();
    return out;
}

std::string ControlImpl::events_json(std::uint64_t since, std::size_t limit) {
    return p_.fleet.timeline().events_json(since, limit);
}

Result<std::string> ControlImpl::act(const ActionRequest& request) {
    const auto units = p_.fleet.resolve(request.names);
    if (!units) return units.error();
    if (p_.fleet.shutting_down()) return Error{"cannot do that: keepwell is shutting down", 0};
    p_.status.changed();
    auto& engine = p_.fleet.engine();
    if (request.verb == Verb::Reload)
        for (const UnitIndex i : *units)
            if (!can_reload(engine.spec(i)))
                return Error{fmt::format("cannot reload {}: it has no reload_command (set "
                                         "unit.{}.reload_command, or use restart or signal)",
                                         engine.key_of(i), engine.key_of(i)),
                             EINVAL};
    if (request.verb == Verb::Check && !request.check_id.empty())
        for (const UnitIndex i : *units)
            if (!find_check(engine.spec(i), request.check_id))
                return Error{fmt::format("cannot check {}: it has no check \"{}\"",
                                         engine.key_of(i), request.check_id),
                             ENOENT};
    const std::string who = describe(request.peer);
    std::vector<UnitIndex> all = *units;
    if (request.verb == Verb::Start) { // what it requires is started with it
        for (std::size_t n = 0; n < all.size(); ++n)
            for (const UnitIndex r : engine.required(all[n]))
                if (engine.record(r).desired == Desired::Stopped &&
                    std::find(all.begin(), all.end(), r) == all.end())
                    all.push_back(r);
    }
    p_.fleet.timeline().add(
        "", "audit",
        fmt::format("{}: {} {}", who, to_string(request.verb), fmt::join(request.names, " ")));
    for (const UnitIndex i : all) {
        const bool up = request.verb == Verb::Start || request.verb == Verb::Restart;
        if (engine.spec(i).kind != UnitKind::External && (up || request.verb == Verb::Stop))
            p_.fleet.want(i, up ? Desired::Running : Desired::Stopped);
    }
    const std::string id = p_.fleet.actions().begin(request.verb, all, who);
    for (const UnitIndex i : all) perform(request, id, i, who);
    return id;
}

void ControlImpl::perform(const ActionRequest& request, const std::string& id, UnitIndex i,
                          const std::string& who) {
    auto& engine = p_.fleet.engine();
    const std::string key = engine.key_of(i);
    const EventText text{"", who, -1};
    switch (request.verb) {
    case Verb::Start:
    case Verb::Stop:
    case Verb::Restart: return; // begun and followed by Actions
    case Verb::Reload: return run_reload(id, i);
    case Verb::Signal: return send_signal(id, i, request.signal);
    case Verb::Check:
        return p_.fleet.watch_checks(
            id, i,
            request.check_id.empty() ? std::nullopt : find_check(engine.spec(i), request.check_id));
    case Verb::Pause:
        engine.post(i,
                    event::Pause{request.pause_for
                                     ? std::optional(p_.clock.now() + *request.pause_for)
                                     : std::nullopt},
                    text);
        return p_.fleet.actions().set(id, key, true,
                                      request.pause_for
                                          ? "paused for " + human_duration(*request.pause_for)
                                          : "paused until resumed");
    case Verb::Resume:
        engine.post(i, event::Resume{}, text);
        return p_.fleet.actions().set(id, key, true, "resumed");
    case Verb::Reset:
        engine.post(i, event::Reset{}, text);
        return p_.fleet.actions().set(id, key, true, "counters, backoff and budget reset");
    }
}

void ControlImpl::run_reload(const std::string& id, UnitIndex i) {
    const UnitSpec& spec = p_.fleet.engine().spec(i);
    const std::string key = spec.key;
    const UnitRecord& r = p_.fleet.engine().record(i);
    if (!r.main_alive)
        return p_.fleet.actions().set(id, key, false,
                                      "cannot reload " + key + ": it is not running");
    if (r.state == State::Unknown)
        return p_.fleet.actions().set(
            id, key, false,
            fmt::format("cannot reload {}: {}; nothing is done while it cannot be seen", key,
                        to_string(static_cast<Blindness>(r.reason.code))));
    if (spec.dry_run) return hold_back(id, key, "reload", would_reload(spec));
    p_.fleet.dispatcher().reload(i, spec.start_timeout, [this, id, key](const std::string& error) {
        const std::string text = error.empty() ? "reloaded" : "cannot reload " + key + ": " + error;
        p_.fleet.timeline().add(key, "operator", text);
        p_.fleet.actions().set(id, key, error.empty(), text);
    });
}

void ControlImpl::hold_back(const std::string& id, const std::string& key, const char* verb,
                            const std::string& would) {
    const std::string text = fmt::format("cannot {} {}: {}", verb, key, would);
    p_.fleet.timeline().add(key, "held", text);
    p_.fleet.actions().set(id, key, false, text);
}

void ControlImpl::send_signal(const std::string& id, UnitIndex i, int signal) {
    const UnitRecord& r = p_.fleet.engine().record(i);
    const std::string key = p_.fleet.engine().key_of(i);
    if (!r.main_alive)
        return p_.fleet.actions().set(id, key, false,
                                      "cannot signal " + key + ": it is not running");
    const UnitSpec& spec = p_.fleet.engine().spec(i);
    if (spec.dry_run)
        return hold_back(id, key, "signal",
                         would_signal(signal, p_.fleet.dispatcher().service_of(spec), r.pid));
    const std::string to = r.pid != 0 ? fmt::format("pid {}", r.pid) : key;
    p_.processes.signal_by_hand(
        key, r.generation, signal, [this, id, key, signal, to](const std::string& error) {
            const std::string text = error.empty()
                                         ? fmt::format("{} sent to {}", signal_name(signal), to)
                                         : "cannot signal " + key + ": " + error;
            if (!error.empty()) p_.fleet.timeline().add(key, "operator", text);
            p_.fleet.actions().set(id, key, error.empty(), text);
        });
}

std::optional<ActionView> ControlImpl::action(const std::string& id) {
    return p_.fleet.actions().view(id);
}

Result<std::string> ControlImpl::enable_check(const std::string& name, const std::string& check,
                                              bool enabled, const Peer& peer) {
    const auto i = one(name);
    if (!i) return i.error();
    const UnitSpec& spec = p_.fleet.engine().spec(*i);
    const auto index = find_check(spec, check);
    if (!index)
        return Error{fmt::format("cannot find check \"{}\" of {}", check, spec.key), ENOENT};
    p_.fleet.timeline().add(
        spec.key, "audit",
        fmt::format("{}: check {} {}", describe(peer), check, enabled ? "enabled" : "disabled"));
    p_.status.changed();
    p_.fleet.checks().set_enabled(*i, *index, enabled);
    p_.fleet.engine().post(*i, event::CheckEnabled{*index, enabled}, {"", describe(peer), -1});
    const UnitSnapshot s = p_.fleet.snapshot(*i);
    return check_json(s, s.checks[*index]);
}

Status ControlImpl::beat(const std::string& name) {
    const auto units = p_.fleet.resolve({name});
    if (!units) return units.error();
    for (const UnitIndex i : *units)
        if (const Status taken = p_.fleet.beat(i); !taken) return taken;
    p_.status.changed();
    return Done{};
}

void ControlImpl::reload_config(bool dry_run, const Peer& peer,
                                std::function<void(Result<std::string>)> done) {
    p_.reload(dry_run, describe(peer), std::move(done));
}

Status ControlImpl::shutdown(const Peer& peer, bool leave) {
    return p_.shutdown(describe(peer), leave);
}

Status ControlImpl::upgrade(const Peer& peer) { return p_.upgrade(describe(peer)); }

void ControlImpl::history(const std::string& name, history::Range range, Answer done) {
    const auto i = one(name);
    if (!i) return done(i.error());
    p_.past.history(*i, range, std::move(done));
}

void ControlImpl::past_events(WallTime since, std::uint64_t sequence, std::size_t limit,
                              Answer done) {
    p_.past.events(since, sequence, limit, std::move(done));
}

} // namespace keepwell
