#include "supervisor/engine/unit_view.h"

#include "units/reason.h"

#include <algorithm>
#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr std::size_t kHistory = 60;
constexpr std::int64_t kFlapWindowMs = 10 * 60 * 1000;
constexpr std::size_t kFlaps = 5; // verdict changes within the window

WallTime wall_of(Instant at, const Clock& clock) {
    if (at == Instant{}) return {};
    return WallTime{
        clock.wall().ms +
        std::chrono::duration_cast<std::chrono::milliseconds>(at - clock.now()).count()};
}

char letter(const UnitRecord& r) {
    if (r.paused) return 'P';
    switch (r.health) {
    case Verdict::Healthy: return 'U';
    case Verdict::Degraded: return 'G';
    case Verdict::Down: return 'D';
    case Verdict::Unknown: return 'X';
    }
    return 'X';
}

const char* trigger_of(const Reason& reason) {
    switch (reason.kind) {
    case ReasonKind::CheckFailing:
    case ReasonKind::CheckWarning: return "check";
    case ReasonKind::Exited:
    case ReasonKind::Held: return "exit";
    case ReasonKind::SpawnFailed:
    case ReasonKind::HostBusy:
    case ReasonKind::NotReady: return "start_failure";
    case ReasonKind::Dependency: return "dependency";
    case ReasonKind::Operator:
    case ReasonKind::Autostart:
    case ReasonKind::StoppedElsewhere:
    case ReasonKind::Shutdown: return "operator";
    case ReasonKind::None:
    case ReasonKind::Blind:
    case ReasonKind::BudgetSpent:
    case ReasonKind::Unkillable:
    case ReasonKind::Completed: return "";
    }
    return "";
}

std::string response_status(std::optional<double> ms, const Threshold<Duration>& limit) {
    if (!ms) return "";
    const std::chrono::duration<double, std::milli> took(*ms);
    if (took >= limit.critical) return "critical";
    return took >= limit.warning ? "warning" : "ok";
}

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

bool retrying(State s) { return s == State::Backoff || s == State::Cooldown; }

} // namespace

void HourlyRate::add(WallTime now, bool failed) {
    const auto minute = static_cast<std::int32_t>(now.ms / 60'000);
    minutes_.resize(60);
    auto& m = minutes_[static_cast<std::size_t>(minute % 60)];
    if (m.minute != minute) m = Minute{minute, 0, 0};
    if (m.runs < UINT16_MAX) ++m.runs;
    if (failed && m.failed < UINT16_MAX) ++m.failed;
}

double HourlyRate::percent(WallTime now) const noexcept {
    const auto minute = static_cast<std::int32_t>(now.ms / 60'000);
    std::uint32_t runs = 0, failed = 0;
    for (const auto& m : minutes_)
        if (m.minute > minute - 60 && m.minute <= minute) {
            runs += m.runs;
            failed += m.failed;
        }
    return runs == 0 ? 0.0 : 100.0 * failed / runs;
}

std::string restart_trigger(const StepInfo& info) {
    if (info.after.restart_now || info.before.restart_now) return "operator";
    if (std::holds_alternative<event::SpawnFailed>(info.event)) return "start_failure";
    const bool given = info.before.reason.kind != ReasonKind::None;
    return trigger_of(given ? info.before.reason : info.after.reason);
}

bool UnitView::set_figures(ProcessFigures f) {
    if (f == figures_) return false;
    figures_ = std::move(f);
    return true;
}

void UnitView::step(const StepInfo& info, WallTime now) {
    const UnitRecord& a = info.after;
    if (a.generation != info.before.generation) {
        for (auto& c : checks_) c = CheckTexts{};
        status_.clear();
    }
    if (a.restarts_total > info.before.restarts_total) {
        last_restart_at_ = now;
        last_trigger_ = restart_trigger(info);
    }
    if (!info.before.incident_since && a.incident_since) {
        attempted_ = false;
        attempt_ok_.reset();
        attempt_error_.clear();
    }
    if (a.incident_since && a.generation > info.before.generation) attempted_ = true;
    if (info.before.incident_since && !a.incident_since && attempted_) {
        attempt_ok_ = a.health == Verdict::Healthy;
        attempt_error_.clear();
    }
    if (a.last_exit && a.last_exit_at != info.before.last_exit_at) {
        last_exit_at_ = now;
        if (attempted_ && a.incident_since) {
            attempt_ok_ = false;
            attempt_error_ = describe(*a.last_exit);
        }
    }
    if (!a.main_alive || a.generation != info.before.generation) figures_ = {};
    if (a.state == State::Running || a.state == State::Stopped) hint_.clear();
    if (a.state != State::Running) refusal_.clear();
    if (stop_was_refused(info)) refusal_ = "stop refused: " + info.text.detail;
    if (std::holds_alternative<event::SpawnFailed>(info.event)) spawn_detail_ = info.text.detail;
    if (a.paused && !info.before.paused) paused_by_ = info.text.who;
    if (a.health != info.before.health) {
        flips_.push_back(now);
        std::erase_if(flips_, [&](WallTime t) { return t.ms < now.ms - kFlapWindowMs; });
    }
}

void UnitView::observe(const UnitSpec& spec, const Observation& o, WallTime now) {
    checks_.resize(spec.checks.size());
    if (o.check >= checks_.size()) return;
    auto& c = checks_[o.check];
    const bool failed = o.outcome == CheckOutcome::Fail;
    if (failed && (c.outcome != CheckOutcome::Fail || c.failing_since.ms == 0))
        c.failing_since = now;
    if (!failed) c.failing_since = {};
    c.outcome = o.outcome;
    c.output = clean_text(o.output);
    c.took_ms = std::chrono::duration<double, std::milli>(o.took).count();
    c.code = o.code;
    c.time = now;
    if (o.cert_expires_at) c.cert_expires_at = *o.cert_expires_at;
    if (!o.reported.json.empty()) c.reported = o.reported;
    rate_.add(now, failed);
}

bool UnitView::set_status(std::string text) {
    if (status_ == text) return false;
    status_ = std::move(text);
    return true;
}

void UnitView::tick(const UnitRecord& r) {
    history_.push_back(letter(r));
    if (history_.size() > kHistory) history_.erase(0, history_.size() - kHistory);
    if (!checks_.empty() && checks_.front().took_ms >= 0) {
        latency_.push_back(checks_.front().took_ms);
        if (latency_.size() > kHistory) latency_.erase(latency_.begin());
    }
}

void UnitView::restore_steps(const std::string& letters) {
    history_.insert(0, letters);
    if (history_.size() > kHistory) history_.erase(0, history_.size() - kHistory);
}

bool UnitView::set_uptime(const UptimeRatios& ratios) {
    if (uptime_ == ratios) return false;
    uptime_ = ratios;
    return true;
}

void UnitView::set_log(std::uint64_t dropped, std::string error) {
    log_dropped_ = dropped;
    log_error_ = std::move(error);
}

void UnitView::keep_checks(const UnitSpec& before, const UnitSpec& after) {
    std::vector<CheckTexts> kept(after.checks.size());
    for (std::size_t i = 0; i < after.checks.size(); ++i)
        for (std::size_t k = 0; k < before.checks.size() && k < checks_.size(); ++k)
            if (before.checks[k].id == after.checks[i].id) kept[i] = checks_[k];
    checks_ = std::move(kept);
}

std::string UnitView::reason_text(const UnitSpec& spec, const UnitRecord& r,
                                  const Context& x) const {
    std::string detail;
    const bool of_check =
        r.reason.kind == ReasonKind::CheckFailing || r.reason.kind == ReasonKind::CheckWarning;
    if (of_check && r.reason.check < checks_.size()) detail = checks_[r.reason.check].output;
    if (r.reason.kind == ReasonKind::SpawnFailed || r.reason.kind == ReasonKind::HostBusy)
        detail = spawn_detail_;
    std::string text = describe(r.reason, spec, x.key_of, detail);
    for (const std::string* more : {&hint_, &refusal_})
        if (!more->empty()) text += (text.empty() ? "" : "; ") + *more;
    const auto retry = r.deadline(TimerKind::Retry);
    if (retrying(r.state) && retry) {
        const Duration left = std::max(Duration{}, *retry - x.clock.now());
        const auto rounded = std::chrono::round<std::chrono::seconds>(left + 499ms);
        text += fmt::format("{}next try in {}", text.empty() ? "" : "; ", human_duration(rounded));
        if (r.state == State::Backoff)
            text += fmt::format(" ({} of {})", r.restarts.size(), spec.policy.budget.restarts);
    }
    if (r.blocked_by && r.state == State::Running) text = "needs " + x.key_of(*r.blocked_by);
    const bool quiet = r.state == State::Running && r.health == Verdict::Healthy;
    return quiet && !r.blocked_by ? refusal_ : text;
}

void UnitView::fill_checks(UnitSnapshot& s, const UnitSpec& spec, const UnitRecord& r,
                           const Context& x) const {
    const Instant now = x.clock.now();
    for (std::size_t i = 0; i < spec.checks.size(); ++i) {
        const CheckSpec& c = spec.checks[i];
        const CheckCounter counter = i < r.checks.size() ? r.checks[i] : CheckCounter{};
        const CheckTexts texts = i < checks_.size() ? checks_[i] : CheckTexts{};
        CheckView v;
        v.id = c.id;
        v.type = type_name(c.probe);
        const bool stale = texts.time.ms == 0 || now - counter.last_at > 3 * c.interval + c.timeout;
        v.status = !counter.ran || stale ? "unknown" : std::string(to_string(counter.last));
        v.effect = c.effect;
        v.heals = c.heals;
        v.enabled = counter.enabled;
        v.tripped = counter.tripped;
        v.consecutive_failures = counter.failures;
        v.failures = c.failures;
        if (texts.took_ms >= 0) v.duration_ms = texts.took_ms;
        v.time = texts.time;
        if (const auto next = x.next_run(static_cast<CheckIndex>(i)))
            v.next_at = wall_of(*next, x.clock);
        v.output = texts.output;
        v.code = texts.code;
        v.component = c.component;
        v.failing_since = texts.failing_since;
        v.cert_expires_at = texts.cert_expires_at;
        if (s.reported.json.empty()) s.reported = texts.reported;
        if (const auto* http = std::get_if<HttpCheckSpec>(&c.probe)) {
            v.slow_ms = std::chrono::duration<double, std::milli>(c.slow).count();
            v.url = display_url(http->url);
            v.expected = display_statuses(http->expect_status);
        }
        if (const auto* tcp = std::get_if<TcpCheckSpec>(&c.probe)) {
            v.host = tcp->host;
            v.port = tcp->port;
        }
        s.last_checked = std::max(s.last_checked, v.time);
        if (v.next_at.ms != 0 && (s.next_check_at.ms == 0 || v.next_at < s.next_check_at))
            s.next_check_at = v.next_at;
        s.consecutive_failures = std::max(s.consecutive_failures, counter.failures);
        if (v.duration_ms &&
            (!s.response_ms || (v.type == "http" && s.checks.front().type != "http")))
            s.response_ms = v.duration_ms;
        s.checks.push_back(std::move(v));
    }
}

void UnitView::fill_restarts(UnitSnapshot& s, const UnitSpec& spec, const UnitRecord& r,
                             const Context& x) const {
    const auto& budget = spec.policy.budget;
    const Instant now = x.clock.now();
    const auto used = static_cast<std::uint32_t>(std::count_if(
        r.restarts.begin(), r.restarts.end(), [&](Instant t) { return t > now - budget.within; }));
    s.restarts_total = r.restarts_total;
    s.last_restart_at = last_restart_at_;
    s.last_trigger = last_trigger_;
    s.budget = budget.restarts;
    s.attempts_left = r.budget_spent || used >= budget.restarts ? 0 : budget.restarts - used;
    s.cooldown_s = seconds(budget.cooldown);
    if (const auto retry = r.deadline(TimerKind::Retry); retry && retrying(r.state)) {
        s.next_attempt_at = wall_of(*retry, x.clock);
        s.backoff_s = seconds(r.current_delay);
        if (r.state == State::Cooldown) s.cooldown_until = s.next_attempt_at;
    }
    const auto recent = std::count_if(flips_.begin(), flips_.end(), [&](WallTime t) {
        return t.ms > x.clock.wall().ms - kFlapWindowMs;
    });
    s.flapping = static_cast<std::size_t>(recent) >= kFlaps;
    s.last_exit = r.last_exit;
    s.last_exit_at = last_exit_at_.ms != 0 ? last_exit_at_ : wall_of(r.last_exit_at, x.clock);
    s.auto_restart_attempted = attempted_;
    s.auto_restart_ok = attempt_ok_;
    s.auto_restart_error = attempt_error_;
}

UnitSnapshot UnitView::snapshot(const UnitSpec& spec, const UnitRecord& r, const Context& x) const {
    UnitSnapshot s;
    s.key = spec.key;
    s.name = spec.name.empty() ? spec.key : spec.name;
    s.group = spec.group;
    s.description = spec.description;
    s.template_name = spec.template_name;
    s.tags = spec.tags;
    s.requires_units = spec.requires_units;
    s.after = spec.after;
    s.instance = spec.instance;
    s.critical = spec.critical;
    s.enabled = spec.enabled;
    s.dry_run = spec.dry_run;
    s.heal = spec.heal;
    s.kind = spec.kind;
    s.state = r.state;
    s.desired = r.desired;
    s.health = r.health;
    s.reason = reason_text(spec, r, x);
    s.status_text = status_;
    s.should_run = should_run(spec, r);
    s.generation = r.generation;
    s.pid = r.main_alive ? r.pid : 0;
    s.state_since = wall_of(r.state_since, x.clock);
    s.health_since = wall_of(r.health_since, x.clock);
    s.started_at = r.main_alive ? wall_of(r.started_at, x.clock) : WallTime{};
    if (r.blocked_by) s.blocked_by = x.key_of(*r.blocked_by);
    s.tree_certain = x.tree_certain;
    s.paused = r.paused;
    if (r.paused) {
        if (const auto end = r.deadline(TimerKind::PauseEnd))
            s.paused_until = wall_of(*end, x.clock);
        s.paused_by = paused_by_;
    }
    fill_checks(s, spec, r, x);
    fill_restarts(s, spec, r, x);
    s.error_rate = rate_.percent(x.clock.wall());
    const bool sick = std::any_of(s.checks.begin(), s.checks.end(), [](const CheckView& c) {
        return c.enabled && c.tripped && c.effect == CheckEffect::Down;
    });
    const bool there = spec.kind == UnitKind::External ? r.health != Verdict::Down : r.main_alive;
    s.ok = !s.should_run || (there && !sick);
    s.cpu_percent = figures_.cpu_percent;
    s.memory_percent = figures_.memory_percent;
    s.memory_bytes = figures_.memory_bytes;
    s.open_fds = figures_.open_fds;
    s.threads = figures_.threads;
    s.pids = figures_.pids;
    s.process_count = figures_.process_count;
    if (s.pids.empty() && s.pid != 0) s.pids = {s.pid};
    s.response_status = response_status(s.response_ms, x.response);
    s.uptime_ratio = uptime_;
    s.history_states = history_;
    s.history_latency_ms = latency_;
    s.history_step_s = x.history_step_s;
    s.warnings = x.warnings;
    s.log_dropped_bytes = log_dropped_;
    s.log_error = log_error_;
    return s;
}

} // namespace keepwell
