#include "supervisor/status/json_writer.h"
#include "supervisor/status/service_json.h"
#include "supervisor/status/status_document.h"

#include <cmath>

namespace keepwell::status_detail {

namespace {

void add_reason(Findings& f, const UnitSnapshot& u, std::string_view check, CheckEffect effect,
                std::string_view message, WallTime since) {
    const bool worse = effect == CheckEffect::Down || effect == CheckEffect::Degraded;
    f.degraded = f.degraded || worse;
    f.others = f.others || !worse;
    std::string element;
    JsonWriter w(element);
    w.begin_object();
    w.member("service", u.key);
    w.member("check", check);
    w.member("effect", to_string(effect));
    w.member("message", foreign(message));
    w.member("since", since);
    w.end_object();
    append_joined(f.reasons, element);
}

// Below its threshold a failing check only degrades (docs/status.md).
CheckEffect effect_now(const CheckView& c) {
    return !c.tripped && c.effect == CheckEffect::Down ? CheckEffect::Degraded : c.effect;
}

WallTime since_of(const CheckView& c) { return c.failing_since.ms != 0 ? c.failing_since : c.time; }

} // namespace

std::string daemon_text(const UnitSnapshot& u) {
    const bool running = counts_as_running(u);
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("name", u.key);
    w.member("running", running);
    w.member("pid", u.pid != 0 ? std::optional(std::to_string(u.pid)) : std::nullopt);
    w.key("error");
    if (running || !(u.should_run || u.kind == UnitKind::External))
        w.null();
    else
        w.value(has_process(u) ? std::string(kProcessGone) : foreign(u.reason));
    w.member("lastCheck", u.last_checked);
    w.end_object();
    return out;
}

std::string check_text(const UnitSnapshot& u, const CheckView& c) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("service", u.key);
    w.member("id", c.id);
    w.member("type", c.type);
    w.member("status", c.status);
    w.member("effect", to_string(c.effect));
    w.member("enabled", c.enabled);
    w.member("heals", c.heals);
    w.member("tripped", c.tripped);
    w.member("consecutive_failures", c.consecutive_failures);
    w.member("failures", c.failures);
    w.member("duration_ms", rounded(c.duration_ms, 1000));
    w.member("time", c.time);
    w.member("next_at", c.next_at);
    w.member("output", foreign(c.output));
    w.end_object();
    return out;
}

std::string checks_text(const UnitSnapshot& u) {
    std::string out;
    for (const auto& c : u.checks) append_joined(out, check_text(u, c));
    return out;
}

Findings find(const UnitSnapshot& u) {
    Findings f;
    const bool watched = u.kind == UnitKind::External && u.state == State::Running;
    if (!u.should_run && !watched) return f;
    for (const auto& c : u.checks) {
        if (failing(c))
            add_reason(f, u, c.id, effect_now(c), c.output, since_of(c));
        else if (c.enabled && c.status == "warn")
            add_reason(f, u, c.id, CheckEffect::Degraded, c.output, since_of(c));
    }
    // A process that is not there is a failed check of its own.
    if (f.reasons.empty() && u.health == Verdict::Down)
        add_reason(f, u, "process", CheckEffect::Down,
                   u.reason.empty() ? kProcessGone : std::string_view(u.reason), u.health_since);
    return f;
}

void Findings::add(const Findings& other) {
    degraded = degraded || other.degraded;
    others = others || other.others;
    append_joined(reasons, other.reasons);
}

std::string_view Findings::word() const noexcept {
    if (degraded) return "degraded";
    return others ? "unknown" : "healthy";
}

void Tally::add(const UnitSnapshot& u) {
    const bool there = counts_as_running(u);
    add(Tally{1, there ? 1U : 0U, u.should_run ? 1U : 0U, u.should_run && there ? 1U : 0U});
}

void Tally::add(const Tally& t) {
    total += t.total;
    running += t.running;
    wanted += t.wanted;
    wanted_running += t.wanted_running;
}

std::string_view Tally::word(double threshold) const noexcept {
    if (wanted_running >= wanted) return "healthy";
    const double share = static_cast<double>(wanted_running) / static_cast<double>(wanted);
    return share >= threshold ? "warning" : "critical";
}

void add_components(const UnitSnapshot& u, Components& all) {
    for (const auto& c : u.checks) {
        if (!c.component) continue;
        auto& mine =
            all.try_emplace(c.component->name, Component{c.component->style, true}).first->second;
        mine.up = mine.up && (c.status == "pass" || c.status == "warn");
    }
}

std::string components_json(const Components& all) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    for (const auto& [name, component] : all) {
        w.key(name);
        switch (component.style) {
        case ComponentStyle::Bool: w.value(component.up); break;
        case ComponentStyle::UpDown: w.value(component.up ? "up" : "down"); break;
        case ComponentStyle::Operational: w.value(component.up ? "operational" : "failing"); break;
        }
    }
    w.end_object();
    return out;
}

} // namespace keepwell::status_detail
