#include "supervisor/status/status_document.h"

#include "supervisor/status/host_metrics.h"
#include "supervisor/status/json_writer.h"
#include "supervisor/status/service_json.h"

#include <algorithm>
#include <unordered_map>

namespace keepwell {

using namespace status_detail;

namespace {

struct EntryText {
    explicit EntryText(const UnitSnapshot& u)
        : service(u), daemon(daemon_text(u)), checks(checks_text(u)), findings(find(u)), ok(u.ok) {
        append_json_string(key, u.key);
        tally.add(u);
        add_components(u, components);
    }
    std::string key; // quoted
    ServiceText service;
    std::string daemon, checks;
    Findings findings;
    Tally tally;
    Components components;
    bool ok;
};

void merge(Components& all, const Components& some) {
    for (const auto& [name, component] : some) {
        auto [it, added] = all.try_emplace(name, component);
        if (!added) it->second.up = it->second.up && component.up;
    }
}

std::string daemons_block(std::string_view elements, const Tally& tally, WallTime now,
                          double threshold) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.key("daemons").begin_array();
    if (!elements.empty()) w.raw(elements);
    w.end_array();
    w.member("overallHealth", tally.word(threshold));
    w.member("runningCount", tally.running);
    w.member("totalCount", tally.total);
    w.member("lastUpdate", now);
    w.end_object();
    return out;
}

std::string health_block(const Findings& found, const Components& components,
                         const SupervisorSnapshot& s) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("status", found.word());
    w.member("overall_status", found.word());
    w.key("reasons").begin_array();
    if (!found.reasons.empty()) w.raw(found.reasons);
    w.end_array();
    w.raw_member("components", components_json(components));
    w.raw_member("system_metrics", host_metrics_json(s.metrics, s.limits));
    w.member("timestamp", s.generated_at);
    w.member("version", s.version);
    w.end_object();
    return out;
}

std::string daemon_with_service(std::string daemon, const ServiceText& service, WallTime now) {
    daemon.pop_back(); // its closing brace
    daemon += ",\"service\":";
    service.append_to(daemon, now, true);
    daemon += '}';
    return daemon;
}

std::string checks_block(std::string_view elements) {
    return "{\"checks\":[" + std::string(elements) + "]}";
}

void write_incident(JsonWriter& w, const std::optional<IncidentView>& incident) {
    w.key("last_incident");
    if (!incident) {
        w.null();
        return;
    }
    w.begin_object();
    w.member("service", incident->service);
    w.member("from", incident->from);
    w.member("until", incident->until);
    w.member("reason", foreign(incident->reason));
    w.end_object();
}

void write_head(JsonWriter& w, const SupervisorSnapshot& s) {
    const std::int64_t up_ms = s.started_at.ms == 0 ? 0 : s.generated_at.ms - s.started_at.ms;
    w.member("schema", "keepwell.status/1");
    w.member("sequence", s.sequence);
    w.member("status", "success");
    w.member("timestamp", s.generated_at);
    w.member("generated_at", s.generated_at);
    w.member("interval_s", s.interval_s);
    w.member("stale_after_s", s.interval_s * 3);
    w.member("host", s.host);
    w.member("version", s.version);
    w.member("uptime_s", std::max<std::int64_t>(0, up_ms / 1000));
    w.member("mode", s.mode);
    w.member("note", foreign(s.note));
}

void write_tail(JsonWriter& w, const SupervisorSnapshot& s, std::string_view daemons) {
    w.key("alerts").begin_array().end_array();
    w.key("data").begin_object();
    w.raw_member("daemons", daemons);
    w.key("logs").begin_object();
    w.key("logs").begin_object().end_object();
    w.member("lastUpdate", s.generated_at);
    w.end_object();
    w.member("timestamp", s.generated_at);
    w.end_object();
    w.member("generator", "keepwell");
    write_incident(w, s.last_incident);
}

} // namespace

struct StatusDocument::Entry {
    Entry(std::string k, const UnitSnapshot& u) : name(std::move(k)), text(u) {}
    std::string name;
    EntryText text;
    std::uint64_t version = 0; // of its last change
};

struct StatusDocument::Impl {
    std::vector<std::unique_ptr<Entry>> order;
    std::unordered_map<std::string, Entry*> by_key;
    HostHistory host;
    std::size_t last_size = 16'384;
    bool changed = true;
    std::uint64_t version = 0, order_version = 0;

    Findings findings() const {
        Findings all;
        for (const auto& e : order) all.add(e->text.findings);
        return all;
    }
    Components components() const {
        Components all;
        for (const auto& e : order) merge(all, e->text.components);
        return all;
    }
    std::string daemons(WallTime now, double threshold) const {
        std::string elements;
        Tally tally;
        for (const auto& e : order) {
            append_joined(elements, e->text.daemon);
            tally.add(e->text.tally);
        }
        return daemons_block(elements, tally, now, threshold);
    }
    void write_services(JsonWriter& w, std::string& out, WallTime now) const {
        w.key("services");
        w.raw("{");
        const char* separator = "";
        for (const auto& e : order) {
            out += separator;
            out += e->text.key;
            out += ':';
            e->text.service.append_to(out, now, order.size() <= kHistoryInline);
            separator = ",";
        }
        out += '}';
    }
};

namespace {

bool same(const ServiceText& a, const ServiceText& b) {
    return a.pieces == b.pieces && a.started_at == b.started_at &&
           a.reported_uptime == b.reported_uptime;
}

} // namespace

StatusDocument::StatusDocument() : impl_(std::make_unique<Impl>()) {}
StatusDocument::~StatusDocument() = default;

void StatusDocument::update(const UnitSnapshot& u) {
    impl_->changed = true;
    const auto it = impl_->by_key.find(u.key);
    if (it != impl_->by_key.end()) {
        EntryText fresh(u);
        if (!same(fresh.service, it->second->text.service)) it->second->version = ++impl_->version;
        it->second->text = std::move(fresh);
        return;
    }
    impl_->order.push_back(std::make_unique<Entry>(u.key, u));
    impl_->order.back()->version = impl_->order_version = ++impl_->version;
    impl_->by_key.emplace(u.key, impl_->order.back().get());
}

void StatusDocument::remove(const std::string& key) {
    if (impl_->by_key.erase(key) == 0) return;
    impl_->changed = true;
    impl_->order_version = ++impl_->version;
    std::erase_if(impl_->order, [&](const auto& e) { return e->name == key; });
}

void StatusDocument::set_order(const std::vector<std::string>& keys) {
    std::unordered_map<std::string, std::size_t> place;
    for (const auto& key : keys) place.emplace(key, place.size());
    const auto rank = [&](const std::unique_ptr<Entry>& e) {
        const auto it = place.find(e->name);
        return it == place.end() ? keys.size() : it->second;
    };
    std::stable_sort(impl_->order.begin(), impl_->order.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
    impl_->changed = true;
    impl_->order_version = ++impl_->version;
}

void StatusDocument::add_host_step(const HostMetrics& m, WallTime now, double step_s) {
    impl_->host.add(m, now, step_s);
    impl_->changed = true;
}

bool StatusDocument::changed() const { return impl_->changed; }
std::size_t StatusDocument::size() const { return impl_->order.size(); }

std::uint64_t StatusDocument::version() const { return impl_->version; }

std::string StatusDocument::render_changes(const SupervisorSnapshot& s,
                                           std::uint64_t after_version) const {
    const Findings found = impl_->findings();
    const auto ok = static_cast<std::size_t>(std::count_if(
        impl_->order.begin(), impl_->order.end(), [](const auto& e) { return e->text.ok; }));
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    write_head(w, s);
    w.member("overall_status", found.word());
    w.key("reasons").begin_array();
    if (!found.reasons.empty()) w.raw(found.reasons);
    w.end_array();
    w.member("ok_count", ok);
    w.member("fail_count", impl_->order.size() - ok);
    w.member("total", impl_->order.size());
    w.key("services").begin_object();
    for (const auto& e : impl_->order) {
        if (e->version <= after_version) continue;
        std::string service;
        e->text.service.append_to(service, s.generated_at, false);
        w.key(e->name).raw(service);
    }
    w.end_object();
    if (impl_->order_version > after_version) {
        w.key("order").begin_array();
        for (const auto& e : impl_->order) w.value(e->name);
        w.end_array();
    }
    w.raw_member("components", components_json(impl_->components()));
    w.raw_member("system_metrics", impl_->host.json(s.metrics, s.limits));
    w.end_object();
    return out;
}

std::string StatusDocument::render(const SupervisorSnapshot& s) {
    const Findings found = impl_->findings();
    const auto ok = static_cast<std::size_t>(std::count_if(
        impl_->order.begin(), impl_->order.end(), [](const auto& e) { return e->text.ok; }));
    std::string out;
    out.reserve(impl_->last_size + impl_->last_size / 8);
    JsonWriter w(out);
    w.begin_object();
    write_head(w, s);
    w.member("overall_status", found.word());
    w.key("reasons").begin_array();
    if (!found.reasons.empty()) w.raw(found.reasons);
    w.end_array();
    w.member("ok_count", ok);
    w.member("fail_count", impl_->order.size() - ok);
    w.member("total", impl_->order.size());
    impl_->write_services(w, out, s.generated_at);
    w.raw_member("components", components_json(impl_->components()));
    w.raw_member("system_metrics", impl_->host.json(s.metrics, s.limits));
    write_tail(w, s, impl_->daemons(s.generated_at, s.health_threshold));
    w.end_object();
    impl_->last_size = out.size();
    impl_->changed = false;
    return out;
}

std::optional<std::string> StatusDocument::render_history(const SupervisorSnapshot& s) const {
    if (impl_->order.size() <= kHistoryInline) return std::nullopt;
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("schema", "keepwell.history/1");
    w.member("sequence", s.sequence);
    w.member("generated_at", s.generated_at);
    w.key("services").begin_object();
    for (const auto& e : impl_->order) w.raw_member(e->name, e->text.service.history);
    w.end_object().end_object();
    return out;
}

std::string StatusDocument::overall_status() const { return std::string(impl_->findings().word()); }

std::string StatusDocument::daemons_json(WallTime now, double health_threshold) const {
    return impl_->daemons(now, health_threshold);
}

std::optional<std::string> StatusDocument::daemon_json(const std::string& key, WallTime now) const {
    const auto it = impl_->by_key.find(key);
    if (it == impl_->by_key.end()) return std::nullopt;
    return daemon_with_service(it->second->text.daemon, it->second->text.service, now);
}

std::string StatusDocument::health_json(const SupervisorSnapshot& s) const {
    return health_block(impl_->findings(), impl_->components(), s);
}

std::string StatusDocument::checks_json() const {
    std::string elements;
    for (const auto& e : impl_->order) append_joined(elements, e->text.checks);
    return checks_block(elements);
}

std::string foreign_text(std::string_view raw) { return foreign(raw); }

std::string host_status(const HostMetrics& m, const MetricsSpec& limits) {
    return status_words(m, limits);
}

bool counts_as_running(const UnitSnapshot& u) noexcept {
    if (u.kind == UnitKind::External) return u.state == State::Running && u.health != Verdict::Down;
    return u.pid != 0;
}

std::string overall_status(std::span<const UnitSnapshot> units) {
    Findings all;
    for (const auto& u : units) all.add(find(u));
    return std::string(all.word());
}

std::string service_json(const UnitSnapshot& u, WallTime now) {
    std::string out;
    ServiceText(u).append_to(out, now, true);
    return out;
}

std::string daemon_json(const UnitSnapshot& u, WallTime now) {
    return daemon_with_service(daemon_text(u), ServiceText(u), now);
}

std::string daemons_json(std::span<const UnitSnapshot> units, WallTime now,
                         double health_threshold) {
    std::string elements;
    Tally tally;
    for (const auto& u : units) {
        append_joined(elements, daemon_text(u));
        tally.add(u);
    }
    return daemons_block(elements, tally, now, health_threshold);
}

std::string health_json(std::span<const UnitSnapshot> units, const SupervisorSnapshot& s) {
    Findings all;
    Components components;
    for (const auto& u : units) {
        all.add(find(u));
        add_components(u, components);
    }
    return health_block(all, components, s);
}

std::string checks_json(std::span<const UnitSnapshot> units) {
    std::string elements;
    for (const auto& u : units) append_joined(elements, checks_text(u));
    return checks_block(elements);
}

std::string check_json(const UnitSnapshot& u, const CheckView& c) { return check_text(u, c); }

} // namespace keepwell
