#include "supervisor/status/service_json.h"

#include "supervisor/status/json_writer.h"
#include "supervisor/status/status_document.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace keepwell::status_detail {

namespace {

bool process_missing(const UnitSnapshot& u) { return has_process(u) && u.should_run && u.pid == 0; }

// The check of one type that a reader with room for one wants to see.
const CheckView* first_of(const UnitSnapshot& u, std::string_view type) {
    const CheckView* first = nullptr;
    for (const auto& c : u.checks) {
        if (c.type != type) continue;
        if (failing(c)) return &c;
        if (first == nullptr) first = &c;
    }
    return first;
}

std::optional<bool> passed(const CheckView& c) {
    if (c.status == "unknown") return std::nullopt;
    return c.status != "fail";
}

std::string error_of(const CheckView& c) { return failing(c) ? foreign(c.output) : ""; }

void nulls(JsonWriter& w, std::initializer_list<std::string_view> keys) {
    for (const auto key : keys) w.null_member(key);
}

void write_text_or_null(JsonWriter& w, std::string_view key, std::string_view text) {
    w.key(key);
    if (text.empty())
        w.null();
    else
        w.value(text);
}

// 200 stays a number for the pages that compare it; "200-299" is text.
void write_expected(JsonWriter& w, const std::string& expected) {
    int number = 0;
    const char* end = expected.data() + expected.size();
    const auto [stop, error] = std::from_chars(expected.data(), end, number);
    w.key("expected_status");
    if (error == std::errc() && stop == end)
        w.value(number);
    else if (expected.empty())
        w.null();
    else
        w.value(expected);
}

void write_http(JsonWriter& w, const UnitSnapshot& u) {
    w.key("http").begin_object();
    if (const CheckView* c = first_of(u, "http")) {
        w.member("ok", passed(*c));
        w.member("status_code", c->code > 0 ? std::optional(c->code) : std::nullopt);
        w.member("latency_ms", rounded(c->duration_ms, 1000));
        write_expected(w, c->expected);
        w.member("url", foreign(c->url));
        w.member("error", error_of(*c));
    } else {
        nulls(w, {"ok", "status_code", "latency_ms", "expected_status", "url", "error"});
    }
    w.end_object();
}

void write_port(JsonWriter& w, const UnitSnapshot& u) {
    w.key("port").begin_object();
    if (const CheckView* c = first_of(u, "tcp")) {
        w.member("ok", passed(*c));
        w.member("host", foreign(c->host));
        w.member("port", c->port);
        w.member("latency_ms", rounded(c->duration_ms, 1000));
        w.member("error", error_of(*c));
    } else {
        nulls(w, {"ok", "host", "port", "latency_ms", "error"});
    }
    w.end_object();
}

void write_process(JsonWriter& w, const UnitSnapshot& u) {
    w.key("process").begin_object();
    if (has_process(u)) {
        std::vector<std::int64_t> pids = u.pids;
        if (pids.empty() && u.pid != 0) pids.push_back(u.pid);
        w.member("count", std::max<std::uint64_t>(u.process_count, pids.size()));
        w.member("pids", pids);
        w.member("ok", !process_missing(u));
        w.member("min", 1);
        w.null_member("max");
        w.member("error", process_missing(u) ? kProcessGone : std::string_view());
    } else {
        w.null_member("count");
        w.key("pids").begin_array().end_array();
        nulls(w, {"ok", "min", "max", "error"});
    }
    w.end_object();
}

void write_checks(JsonWriter& w, const UnitSnapshot& u) {
    w.key("checks").begin_array();
    for (const auto& c : u.checks) {
        w.begin_object();
        w.member("id", c.id);
        w.member("type", c.type);
        w.member("status", c.status);
        w.member("effect", to_string(c.effect));
        w.member("duration_ms", rounded(c.duration_ms, 1000));
        w.member("time", c.time);
        w.member("consecutive_failures", c.consecutive_failures);
        w.member("output", foreign(c.output));
        w.member("heals", c.heals);
        w.member("failures", c.failures);
        w.member("slow_ms", c.slow_ms);
        if (c.cert_expires_at.ms != 0) w.member("cert_expires_at", c.cert_expires_at);
        w.end_object();
    }
    w.end_array();
}

void write_restarts(JsonWriter& w, const UnitSnapshot& u) {
    w.key("restarts").begin_object();
    w.member("total", u.restarts_total);
    w.member("last_at", u.last_restart_at);
    write_text_or_null(w, "last_trigger", u.last_trigger);
    w.member("consecutive_failures", u.consecutive_failures);
    w.member("next_attempt_at", u.next_attempt_at);
    w.member("backoff_s", round_to(u.backoff_s, 1000));
    w.member("attempts_left", u.attempts_left);
    w.member("flapping", u.flapping);
    w.member("cooldown_until", u.cooldown_until);
    w.member("budget", u.budget);
    w.member("cooldown_s", u.cooldown_s);
    w.end_object();
}

void write_last_exit(JsonWriter& w, const UnitSnapshot& u) {
    w.key("last_exit").begin_object();
    if (u.last_exit && u.last_exit->known) {
        const ExitStatus& e = *u.last_exit;
        w.member("code", e.signal == 0 ? std::optional(e.code) : std::nullopt);
        w.member("signal", e.signal != 0 ? std::optional(e.signal) : std::nullopt);
        w.member("core", e.core);
        w.member("oom", e.oom);
    } else {
        nulls(w, {"code", "signal", "core", "oom"});
    }
    w.member("at", u.last_exit ? u.last_exit_at : WallTime{});
    w.end_object();
}

void write_auto_restart(JsonWriter& w, const UnitSnapshot& u) {
    w.member("auto_restart_attempted", u.auto_restart_attempted);
    w.key("auto_restart_result");
    if (u.auto_restart_attempted && u.auto_restart_ok) {
        w.begin_object().member("ok", *u.auto_restart_ok);
        write_text_or_null(w, "error", foreign(u.auto_restart_error));
        w.end_object();
    } else {
        w.null();
    }
}

std::string history_text(const UnitSnapshot& u) {
    constexpr std::size_t kSteps = 60;
    const std::string_view states(u.history_states);
    const std::size_t skip =
        u.history_latency_ms.size() > kSteps ? u.history_latency_ms.size() - kSteps : 0;
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("step_s", u.history_step_s);
    w.member("states", states.substr(states.size() > kSteps ? states.size() - kSteps : 0));
    w.key("latency_ms").begin_array();
    for (std::size_t i = skip; i < u.history_latency_ms.size(); ++i)
        w.value(round_to(u.history_latency_ms[i], 1000));
    w.end_array().end_object();
    return out;
}

void write_systemd(JsonWriter& w, const UnitSnapshot& u) {
    w.key("systemd").begin_object();
    if (!u.managed) {
        nulls(w, {"state", "ok"});
    } else {
        const ManagedState& m = *u.managed;
        if (m.state.empty())
            nulls(w, {"state", "ok"});
        else
            w.member("state", m.state).member("ok", m.state == "active" || m.state == "reloading");
        w.member("unit", m.unit)
            .member("sub_state", m.sub_state)
            .member("result", m.result)
            .member("n_restarts", m.n_restarts)
            .member("error", foreign(m.error));
        if (!m.file_state.empty()) w.member("unit_file_state", m.file_state);
    }
    w.end_object();
}

void write_identity(JsonWriter& w, const UnitSnapshot& u) {
    w.member("key", u.key);
    w.member("name", u.name.empty() ? u.key : u.name);
    w.member("group", u.group);
    w.member("description", u.description);
    w.member("tags", u.tags);
    w.member("critical", u.critical);
    w.member("ok", u.ok);
    write_http(w, u);
    write_port(w, u);
    write_systemd(w, u);
    write_process(w, u);
    write_checks(w, u);
    w.key("health").begin_object();
    w.member("status", to_string(u.health));
    w.member("lastCheckAt", u.last_checked);
    w.member("responseTime", rounded(u.response_ms, 1000));
    w.key("uptime");
}

void write_lifecycle(JsonWriter& w, const UnitSnapshot& u) {
    w.member("errorRate", round_to(u.error_rate, 100));
    write_text_or_null(w, "responseStatus", u.response_status);
    w.end_object();
    if (u.reported.json.empty())
        w.null_member("reported");
    else
        w.raw_member("reported", u.reported.json);
    w.member("state", to_string(u.state));
    w.member("desired_state", to_string(u.desired));
    w.member("state_since", u.state_since);
    w.member("paused", u.paused);
    w.member("pid", u.pid != 0 ? std::optional(u.pid) : std::nullopt);
    w.member("started_at", u.pid != 0 ? u.started_at : WallTime{});
    w.key("uptime_s");
}

void write_figures(JsonWriter& w, const UnitSnapshot& u) {
    w.member("cpu_percent", rounded(u.cpu_percent, 100));
    w.member("memory_bytes", u.memory_bytes);
    w.member("memory_percent", rounded(u.memory_percent, 100));
    w.member("open_fds", u.open_fds);
    w.member("threads", u.threads);
    write_restarts(w, u);
    write_last_exit(w, u);
    write_auto_restart(w, u);
    w.key("uptime_ratio").begin_object();
    constexpr std::string_view kWindows[] = {"1h", "24h", "7d", "30d"};
    for (std::size_t i = 0; i < u.uptime_ratio.size(); ++i)
        w.member(kWindows[i], u.uptime_ratio[i]);
    w.end_object();
    w.key("history");
}

void write_tail(JsonWriter& w, const UnitSnapshot& u) {
    w.member("last_checked", u.last_checked);
    w.member("next_check_at", u.next_check_at);
    w.member("kind", to_string(u.kind));
    w.member("reason", foreign(u.reason));
    write_text_or_null(w, "status_text", foreign(u.status_text));
    w.member("generation", u.generation);
    w.member("requires", u.requires_units);
    w.member("after", u.after);
    write_text_or_null(w, "blocked_by", u.blocked_by);
    w.member("tree_certainty", u.tree_certain ? "cgroup" : "best_effort");
    w.member("instance", u.instance);
    write_text_or_null(w, "template", u.template_name);
    w.member("paused_until", u.paused ? u.paused_until : WallTime{});
    write_text_or_null(w, "paused_by", u.paused ? foreign(u.paused_by) : "");
    w.member("should_run", u.should_run);
    w.member("enabled", u.enabled);
    w.member("heal", u.heal);
    w.member("dry_run", u.dry_run);
    if (!u.warnings.empty()) w.member("warnings", u.warnings);
    w.member("health_since", u.health_since);
    w.key("log").begin_object();
    w.member("dropped_bytes", u.log_dropped_bytes);
    w.member("error", foreign(u.log_error));
    w.end_object();
    w.end_object();
}

void append_uptime(std::string& out, WallTime started, WallTime now) {
    if (started.ms == 0)
        out += "null";
    else
        out += std::to_string(std::max<std::int64_t>(0, (now.ms - started.ms) / 1000));
}

} // namespace

ServiceText::ServiceText(const UnitSnapshot& u)
    : history(history_text(u)), started_at(u.pid != 0 ? u.started_at : WallTime{}) {
    if (u.reported.uptime_s) JsonWriter(reported_uptime).value(*u.reported.uptime_s);
    std::string all;
    JsonWriter w(all);
    std::size_t cut = 0;
    // The writer is told of a value and the next piece starts behind it.
    const auto next = [&](std::size_t i) {
        pieces[i] = all.substr(cut);
        w.raw("");
        cut = all.size();
    };
    w.begin_object();
    write_identity(w, u);
    next(0);
    write_lifecycle(w, u);
    next(1);
    write_figures(w, u);
    next(2);
    write_tail(w, u);
    pieces[3] = all.substr(cut);
}

void ServiceText::append_to(std::string& out, WallTime now, bool with_history) const {
    out += pieces[0];
    if (reported_uptime.empty())
        append_uptime(out, started_at, now);
    else
        out += reported_uptime;
    out += pieces[1];
    append_uptime(out, started_at, now);
    out += pieces[2];
    out += with_history ? std::string_view(history) : std::string_view("null");
    out += pieces[3];
}

} // namespace keepwell::status_detail
