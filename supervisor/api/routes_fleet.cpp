// What this host tells of itself to who looks at many: its verdict, and where Prometheus finds it.
#include "supervisor/api/routes.h"
#include "supervisor/status/json_writer.h"
#include "supervisor/status/status_document.h"

#include <algorithm>

namespace keepwell::api {

namespace {

constexpr std::size_t kMostProblems = 50; // enough to look for oneself

bool is_problem(const UnitSnapshot& u) {
    const bool watched = u.kind == UnitKind::External && u.state == State::Running;
    return (u.should_run || watched) && (!u.ok || u.health != Verdict::Healthy);
}

void write_counts(JsonWriter& w, const std::vector<UnitSnapshot>& units) {
    const auto count = [&](auto predicate) {
        return std::count_if(units.begin(), units.end(), predicate);
    };
    const auto verdict = [&](Verdict v) {
        return count([v](const UnitSnapshot& u) { return u.health == v; });
    };
    const auto ok = count([](const UnitSnapshot& u) { return u.ok; });
    w.key("counts").begin_object();
    w.member("total", units.size());
    w.member("ok", ok);
    w.member("failing", static_cast<std::ptrdiff_t>(units.size()) - ok);
    w.member("healthy", verdict(Verdict::Healthy));
    w.member("degraded", verdict(Verdict::Degraded));
    w.member("down", verdict(Verdict::Down));
    w.member("unknown", verdict(Verdict::Unknown));
    w.member("paused", count([](const UnitSnapshot& u) { return u.paused; }));
    w.end_object();
}

void write_problems(JsonWriter& w, const std::vector<UnitSnapshot>& units) {
    std::size_t left = kMostProblems;
    w.key("problems").begin_array();
    for (const auto& u : units) {
        if (!is_problem(u) || left == 0) continue;
        --left;
        w.begin_object();
        w.member("service", u.key);
        w.member("name", u.name.empty() ? u.key : u.name);
        w.member("verdict", to_string(u.health));
        w.member("state", to_string(u.state));
        w.member("reason", foreign_text(u.reason));
        w.member("since", u.health_since);
        w.end_object();
    }
    w.end_array();
}

// How the caller reached us, which was found to be an address of ours; empty on the unix socket.
std::string own_url(const Request& request) {
    if (request.peer.address.empty() || request.host.empty()) return "";
    return (request.secure ? "https://" : "http://") + request.host;
}

} // namespace

Reply Routes::get_fleet(const Call& call) {
    const SupervisorSnapshot s = control_.supervisor();
    const auto units = control_.units();
    Reply reply;
    JsonWriter w(reply.body);
    w.begin_object();
    w.key("hosts").begin_array().begin_object();
    w.member("host", s.host);
    w.member("self", true);
    w.member("version", s.version);
    w.member("verdict", overall_status(units));
    write_counts(w, units);
    write_problems(w, units);
    w.key("url");
    if (const std::string url = own_url(call.request); !url.empty())
        w.value(url);
    else
        w.null();
    w.member("time", clock_.wall());
    w.end_object().end_array().end_object();
    return reply;
}

// Prometheus cannot scrape a unix socket.
Reply Routes::get_fleet_targets(const Call& call) {
    const Request& request = call.request;
    Reply reply;
    JsonWriter w(reply.body);
    w.begin_array();
    if (!own_url(request).empty()) {
        w.begin_object();
        w.key("targets").begin_array().value(request.host).end_array();
        w.key("labels").begin_object();
        w.member("__scheme__", request.secure ? "https" : "http");
        w.member("__metrics_path__", "/metrics");
        w.member("host", control_.supervisor().host);
        w.end_object().end_object();
    }
    w.end_array();
    return reply;
}

} // namespace keepwell::api
