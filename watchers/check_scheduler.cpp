#include "watchers/check_scheduler.h"

#include "watchers/exec_check.h"
#include "watchers/heartbeat_check.h"
#include "watchers/http_check.h"
#include "watchers/schedule.h"
#include "watchers/tcp_check.h"
#include "watchers/text.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <variant>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

// What a port may need beyond the deadline to kill, reap and report.
constexpr Duration kAnswerGrace = 2s;

// A beat that waits in its socket is read before it is missed: one turn of the loop.
constexpr Duration kBeatTurn = 1ms;

enum class Port { Http, Tcp, Tasks, Beats };

} // namespace

struct CheckScheduler::Impl {
    struct Check {
        CheckSpec spec;
        std::uint64_t hash = 0;
        bool enabled = false;
        bool pending = false;
        bool running = false;
        bool respread = false;  // the coming run was put off after a stall; do not put it off again
        std::uint64_t run = 0;  // the run under way; a late answer of another one is dropped
        std::uint64_t call = 0; // its id at the port
        Port port = Port::Http;
        TimerId timer = 0; // the next run, or while running the end of the port's grace
        Instant due{};
        Instant started{};
        Instant ended{};
        Beats beats;         // of a heartbeat check
        bool failed = false; // the last result
    };
    struct Unit {
        Generation generation = 0;
        std::string key;
        ProcessSpec process; // for exec checks
        std::vector<Check> checks;
    };

    Impl(Ports p, Sink s) : ports(p), sink(std::move(s)) {}
    ~Impl() {
        for (auto& [index, unit] : units) silence(unit);
    }

    Check* find(UnitIndex u, CheckIndex c) noexcept {
        const auto it = units.find(u);
        if (it == units.end() || c >= it->second.checks.size()) return nullptr;
        return &it->second.checks[c];
    }

    void silence(Unit& unit) noexcept {
        for (auto& check : unit.checks) halt(check);
    }
    void halt(Check& check) noexcept {
        disarm(check);
        if (!std::exchange(check.running, false)) return;
        check.run = 0;
        cancel_call(check);
    }
    void cancel_call(const Check& check) noexcept {
        switch (check.port) {
        case Port::Http: ports.http.cancel(check.call); break;
        case Port::Tcp: ports.tcp.cancel(check.call); break;
        case Port::Tasks: ports.tasks.cancel(check.call); break;
        case Port::Beats: ports.timers.cancel(check.call); break;
        }
    }

    void disarm(Check& check) noexcept {
        if (check.timer != 0) ports.timers.cancel(std::exchange(check.timer, 0));
    }
    void arm(UnitIndex u, CheckIndex c, Check& check, Instant at) {
        disarm(check);
        check.due = at;
        check.timer = ports.timers.arm(at, [this, u, c] { due(u, c); });
    }
    void arm_first(UnitIndex u, CheckIndex c, Check& check) {
        arm(u, c, check, ports.clock.now() + first_offset(check.hash, check.spec.interval));
    }
    Instant following(const Check& check, Instant now) const {
        if (check.pending) return std::max(now, check.ended + check.spec.retry_interval);
        return next_slot(check.hash, check.spec.interval, check.started, now);
    }
    void arm_following(UnitIndex u, CheckIndex c, Check& check) {
        arm(u, c, check, following(check, ports.clock.now()));
    }

    void due(UnitIndex u, CheckIndex c) {
        Check* check = find(u, c);
        if (check == nullptr) return;
        check->timer = 0;
        const Instant now = ports.clock.now();
        const bool stalled = now - check->due > std::max<Duration>(check->spec.interval, 1s);
        if (stalled && !std::exchange(check->respread, true)) return arm_first(u, c, *check);
        check->respread = false;
        if (silent(*check)) return arm_following(u, c, *check);
        begin(u, c, *check);
    }
    bool silent(const Check& check) const {
        const auto* spec = std::get_if<HeartbeatCheckSpec>(&check.spec.probe);
        return spec != nullptr && heartbeat_is_silent(*spec, check.beats, ports.clock.now());
    }

    void begin(UnitIndex u, CheckIndex c, Check& check) {
        disarm(check);
        const Unit& unit = units.at(u);
        check.running = true;
        check.run = ++runs;
        check.started = ports.clock.now();
        check.timer = ports.timers.arm(check.started + check.spec.timeout + kAnswerGrace,
                                       [this, u, c] { give_up(u, c); });
        std::visit([&](const auto& probe) { call(u, c, unit, check, probe); }, check.spec.probe);
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const HttpCheckSpec& http) {
        check.port = Port::Http;
        check.call = ports.http.start(
            http_request(http, check.spec.timeout),
            [this, u, c, run = check.run](const HttpResult& result) {
                finish(u, c, run, [&](const CheckSpec& spec) {
                    return evaluate_http(spec, std::get<HttpCheckSpec>(spec.probe), result);
                });
            });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const TcpCheckSpec& tcp) {
        check.port = Port::Tcp;
        check.call = ports.tcp.start(tcp_request(tcp, check.spec.timeout),
                                     [this, u, c, run = check.run](const TcpResult& result) {
                                         finish(u, c, run, [&](const CheckSpec& spec) {
                                             return evaluate_tcp(spec, result);
                                         });
                                     });
    }
    void call(UnitIndex u, CheckIndex c, const Unit& unit, Check& check,
              const ExecCheckSpec& exec) {
        check.port = Port::Tasks;
        check.call = ports.tasks.run(exec_request(unit.key, unit.process, check.spec, exec),
                                     [this, u, c, run = check.run](const TaskResult& result) {
                                         finish(u, c, run, [&](const CheckSpec& spec) {
                                             return evaluate_exec(
                                                 spec, std::get<ExecCheckSpec>(spec.probe), result);
                                         });
                                     });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const HeartbeatCheckSpec&) {
        check.port = Port::Beats;
        check.call = ports.timers.arm(check.started + kBeatTurn, [this, u, c, run = check.run] {
            finish(u, c, run, [&](const CheckSpec& spec) {
                return evaluate_heartbeat(std::get<HeartbeatCheckSpec>(spec.probe),
                                          find(u, c)->beats, ports.clock.now());
            });
        });
    }
    bool beat(UnitIndex u, CheckIndex c, Check& check, bool trouble) {
        if (!check.enabled || !std::holds_alternative<HeartbeatCheckSpec>(check.spec.probe))
            return false;
        const bool news = trouble ? !check.beats.trouble : !check.beats.any || check.failed;
        if (!trouble) check.beats.last = ports.clock.now();
        check.beats.any = check.beats.any || !trouble;
        check.beats.trouble = trouble;
        if (news && !check.running) begin(u, c, check);
        return true;
    }

    template <class Evaluate>
    void finish(UnitIndex u, CheckIndex c, std::uint64_t run, const Evaluate& evaluate) {
        Check* check = find(u, c);
        if (check == nullptr || !check->running || check->run != run) return;
        report(u, c, *check, evaluate(check->spec));
    }
    void give_up(UnitIndex u, CheckIndex c) {
        Check* check = find(u, c);
        if (check == nullptr || !check->running) return;
        check->timer = 0;
        cancel_call(*check);
        Observation seen;
        seen.outcome = CheckOutcome::Fail;
        seen.soft = true;
        // Without the grace, which is ours: what is left beyond the timeout is a stall of this
        // host.
        seen.took = ports.clock.now() - check->started - kAnswerGrace;
        seen.output = "timed out after " + short_duration(check->spec.timeout);
        report(u, c, *check, std::move(seen));
    }
    // Everything is settled before the sink is called: it may stop, restart or destroy anything.
    void report(UnitIndex u, CheckIndex c, Check& check, Observation seen) {
        check.running = false;
        check.failed = seen.outcome == CheckOutcome::Fail;
        check.ended = ports.clock.now();
        disarm(check);
        if (check.enabled) arm_following(u, c, check);
        seen.unit = u;
        seen.check = c;
        seen.generation = units.at(u).generation;
        const Sink call_after = sink;
        call_after(std::move(seen));
    }

    Ports ports;
    Sink sink;
    std::unordered_map<UnitIndex, Unit> units;
    std::uint64_t runs = 0;
};

CheckScheduler::CheckScheduler(Ports ports, Sink sink)
    : impl_(std::make_unique<Impl>(ports, std::move(sink))) {}
CheckScheduler::~CheckScheduler() = default;

void CheckScheduler::start(UnitIndex u, const UnitSpec& spec, Generation generation) {
    stop(u);
    if (spec.checks.empty()) return;
    Impl::Unit unit;
    unit.generation = generation;
    unit.key = spec.key;
    unit.process = spec.process;
    unit.checks.reserve(spec.checks.size());
    for (const auto& check_spec : spec.checks) {
        Impl::Check check;
        check.spec = check_spec;
        check.hash = check_hash(spec.key, check_spec.id);
        check.enabled = check_spec.enabled;
        check.beats.last = impl_->ports.clock.now();
        unit.checks.push_back(std::move(check));
    }
    auto& placed = impl_->units[u] = std::move(unit);
    for (std::size_t c = 0; c < placed.checks.size(); ++c)
        if (placed.checks[c].enabled)
            impl_->arm_first(u, static_cast<CheckIndex>(c), placed.checks[c]);
}

void CheckScheduler::stop(UnitIndex u) noexcept {
    const auto it = impl_->units.find(u);
    if (it == impl_->units.end()) return;
    impl_->silence(it->second);
    impl_->units.erase(it);
}

void CheckScheduler::set_enabled(UnitIndex u, CheckIndex c, bool enabled) {
    auto* check = impl_->find(u, c);
    if (check == nullptr || std::exchange(check->enabled, enabled) == enabled) return;
    check->pending = false;
    if (!enabled) return impl_->halt(*check);
    check->beats = {impl_->ports.clock.now(), false, false};
    if (!check->running) impl_->arm_first(u, c, *check);
}

void CheckScheduler::run_now(UnitIndex u, std::optional<CheckIndex> only) {
    const auto it = impl_->units.find(u);
    if (it == impl_->units.end()) return;
    auto& checks = it->second.checks;
    for (std::size_t c = 0; c < checks.size(); ++c) {
        const bool wanted = only ? *only == c : checks[c].enabled;
        if (wanted && !checks[c].running && !impl_->silent(checks[c]))
            impl_->begin(u, static_cast<CheckIndex>(c), checks[c]);
    }
}

bool CheckScheduler::beat(UnitIndex u, bool trouble) {
    const auto it = impl_->units.find(u);
    if (it == impl_->units.end()) return false;
    bool any = false;
    auto& checks = it->second.checks;
    for (std::size_t c = 0; c < checks.size(); ++c)
        any = impl_->beat(u, static_cast<CheckIndex>(c), checks[c], trouble) || any;
    return any;
}

bool CheckScheduler::has_answer(UnitIndex u, CheckIndex c) const {
    const auto* check = impl_->find(u, c);
    return check == nullptr || !impl_->silent(*check);
}

void CheckScheduler::set_pending(UnitIndex u, CheckIndex c, bool pending) {
    auto* check = impl_->find(u, c);
    if (check == nullptr || std::exchange(check->pending, pending) == pending) return;
    // A check that has not run yet keeps its first run.
    const bool ran = check->ended != Instant{};
    if (check->enabled && !check->running && ran) impl_->arm_following(u, c, *check);
}

std::optional<Instant> CheckScheduler::next_run(UnitIndex u, CheckIndex c) const {
    const auto* check = impl_->find(u, c);
    if (check == nullptr || !check->enabled) return std::nullopt;
    if (!check->running) return check->due;
    return next_slot(check->hash, check->spec.interval, check->started, impl_->ports.clock.now());
}

} // namespace keepwell
