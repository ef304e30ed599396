#include "watchers/check_scheduler.h"

#include "watchers/certificate.h"
#include "watchers/dns_check.h"
#include "watchers/exec_check.h"
#include "watchers/heartbeat_check.h"
#include "watchers/host_check.h"
#include "watchers/http_check.h"
#include "watchers/local_checks.h"
#include "watchers/log_check.h"
#include "watchers/schedule.h"
#include "watchers/systemd_check.h"
#include "watchers/tcp_check.h"
#include "watchers/text.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
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

// A renewed certificate is noticed within this time, at the price of one new connection.
constexpr Duration kCertificateAge = 1h;

bool is_https(const std::string& url) noexcept {
    return url.size() > 5 && (url[4] == 's' || url[4] == 'S');
}

enum class Port { Http, Tcp, Tasks, Pool, Timer, Dns, Systemd };

using Lane = Offload::Lane;

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
        Beats beats;                  // of a heartbeat check
        bool failed = false;          // the last result
        std::optional<WallTime> cert; // end of the certificate that was last seen
        Instant cert_seen{};
        std::shared_ptr<std::atomic<bool>> at_work; // of the last work in the pool
        std::shared_ptr<ResourceMemory> memory = std::make_shared<ResourceMemory>();
        std::shared_ptr<HostMemory> host;
        std::shared_ptr<LogMemory> log;
    };
    struct Unit {
        Generation generation = 0;
        std::string key;
        ProcessSpec process; // for exec checks
        std::vector<Check> checks;
    };

    Impl(Ports p, Sink s) : ports(std::move(p)), sink(std::move(s)) {}
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
    // False: the run never began, or can say nothing of the unit.
    bool cancel_call(const Check& check) noexcept {
        switch (check.port) {
        case Port::Http: ports.http.cancel(check.call); break;
        case Port::Tcp: ports.tcp.cancel(check.call); break;
        case Port::Tasks: ports.tasks.cancel(check.call); break;
        case Port::Timer: ports.timers.cancel(check.call); break;
        case Port::Dns: ports.dns.cancel(check.call); break;
        case Port::Systemd: return false;
        case Port::Pool: return check.call == 0 || ports.offload.cancel(check.call);
        }
        return true;
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
        HttpRequest request = http_request(http, check.spec.timeout);
        const bool known = check.cert && check.started - check.cert_seen < kCertificateAge;
        request.fresh_connection = is_https(http.url) && !known;
        check.call =
            ports.http.start(request, [this, u, c, run = check.run](const HttpResult& result) {
                finish(u, c, run, [&](Check& k) {
                    const auto& spec = std::get<HttpCheckSpec>(k.spec.probe);
                    return certified(k, spec.tls, evaluate_http(k.spec, spec, result),
                                     result.cert_expires_at);
                });
            });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const TcpCheckSpec& tcp) {
        check.port = Port::Tcp;
        check.call = ports.tcp.start(
            tcp_request(tcp, check.spec.timeout),
            [this, u, c, run = check.run](const TcpResult& result) {
                finish(u, c, run, [&](Check& k) {
                    const auto& spec = std::get<TcpCheckSpec>(k.spec.probe);
                    return certified(k, spec.tls.value_or(TlsSpec{}), evaluate_tcp(k.spec, result),
                                     result.cert_expires_at);
                });
            });
    }
    // What a reused connection does not tell was told by an earlier one.
    Observation certified(Check& check, const TlsSpec& tls, Observation seen,
                          std::optional<WallTime> expires_at) const {
        if (expires_at) {
            check.cert = expires_at;
            check.cert_seen = ports.clock.now();
        }
        judge_certificate(seen, tls.expires_within, check.cert, ports.clock.wall());
        return seen;
    }
    void call(UnitIndex u, CheckIndex c, const Unit& unit, Check& check,
              const ExecCheckSpec& exec) {
        check.port = Port::Tasks;
        check.call = ports.tasks.run(
            exec_request(unit.key, unit.process, check.spec, exec),
            [this, u, c, run = check.run](const TaskResult& result) {
                finish(u, c, run, [&](Check& k) {
                    return evaluate_exec(k.spec, std::get<ExecCheckSpec>(k.spec.probe), result);
                });
            });
    }

    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const UnixCheckSpec& unix) {
        check.port = Port::Tcp;
        check.call = ports.tcp.start(
            unix_request(unix, check.spec.timeout),
            [this, u, c, run = check.run](const TcpResult& result) {
                finish(u, c, run, [&](Check& k) { return evaluate_tcp(k.spec, result); });
            });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const ProcessCheckSpec& spec) {
        look(u, c, check, Lane::Proc, [spec, table = table, now = check.started] {
            return look_at_processes(spec, table->entries(now));
        });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const PortCheckSpec& spec) {
        look(u, c, check, Lane::Proc,
             [spec, tree = ports.tree(u)] { return look_at_port(spec, tree); });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const FileCheckSpec& spec) {
        look(u, c, check, Lane::Disk,
             [spec, now = ports.clock.wall()] { return look_at_file(spec, now); });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const ResourceCheckSpec& spec) {
        look(u, c, check, Lane::Proc,
             [spec, tree = ports.tree(u), memory = check.memory, now = check.started] {
                 return look_at_resources(spec, tree, *memory, now);
             });
    }

    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const HostCheckSpec& spec) {
        // Asking for the space of a dead network disk hangs; reading /proc does not.
        const bool disks = !spec.disk.empty() || !spec.inodes.empty();
        if (!check.host) check.host = std::make_shared<HostMemory>();
        look(u, c, check, disks ? Lane::Disk : Lane::Proc,
             [spec, memory = check.host, now = check.started] {
                 return look_at_host(spec, *memory, now);
             });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const LogCheckSpec& spec) {
        look(u, c, check, Lane::Disk,
             [spec, memory = check.log, now = check.started, wall = ports.clock.wall()] {
                 return look_at_log(spec, *memory, now, wall);
             });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const DnsCheckSpec& spec) {
        check.port = Port::Dns;
        check.call = ports.dns.start(
            dns_request(spec, check.spec.timeout),
            [this, u, c, run = check.run](const DnsResult& result) {
                finish(u, c, run, [&](const Check& k) {
                    return evaluate_dns(k.spec, std::get<DnsCheckSpec>(k.spec.probe), result);
                });
            });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const SystemdCheckSpec& spec) {
        if (!ports.systemd) {
            check.port = Port::Timer;
            check.call = ports.timers.arm(check.started, [this, u, c, run = check.run] {
                unanswered(u, c, run, "no systemd bus here");
            });
            return;
        }
        check.port = Port::Systemd;
        check.call = 0;
        ports.systemd(spec, [this, u, c, run = check.run,
                             here = std::weak_ptr(alive)](const SystemdAnswer& answer) {
            if (here.expired()) return;
            if (!answer.unknown.empty()) return unanswered(u, c, run, answer.unknown);
            finish(u, c, run, [&](const Check& k) {
                Observation seen =
                    evaluate_systemd(std::get<SystemdCheckSpec>(k.spec.probe), answer.active_state);
                seen.took = ports.clock.now() - k.started;
                return seen;
            });
        });
    }

    // Work that still hangs from an earlier run keeps its thread: it does not get another one, and
    // this run ends at its deadline.
    void look(UnitIndex u, CheckIndex c, Check& check, Lane lane,
              std::function<Observation()> work) {
        check.port = Port::Pool;
        check.call = 0;
        if (check.at_work && *check.at_work) return;
        const auto at_work = std::make_shared<std::atomic<bool>>(false);
        const auto seen = std::make_shared<Observation>();
        check.at_work = at_work;
        check.call = ports.offload.run(
            lane,
            [at_work, seen, work = std::move(work)] {
                *at_work = true;
                try {
                    *seen = work();
                } catch (const std::exception& e) {
                    seen->outcome = CheckOutcome::Warn;
                    seen->output = std::string("cannot look: ") + e.what();
                }
                *at_work = false;
            },
            [this, u, c, seen, run = check.run, started = check.started] {
                finish(u, c, run, [&](const Check& k) {
                    seen->took = ports.clock.now() - started;
                    if (seen->took > k.spec.timeout) {
                        seen->outcome = CheckOutcome::Fail;
                        seen->output = "timed out after " + short_duration(k.spec.timeout);
                    }
                    return *seen;
                });
            });
    }
    void call(UnitIndex u, CheckIndex c, const Unit&, Check& check, const HeartbeatCheckSpec&) {
        check.port = Port::Timer;
        check.call = ports.timers.arm(check.started + kBeatTurn, [this, u, c, run = check.run] {
            finish(u, c, run, [&](const Check& k) {
                return evaluate_heartbeat(std::get<HeartbeatCheckSpec>(k.spec.probe), k.beats,
                                          ports.clock.now());
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
        report(u, c, *check, evaluate(*check));
    }
    void give_up(UnitIndex u, CheckIndex c) {
        Check* check = find(u, c);
        if (check == nullptr || !check->running) return;
        check->timer = 0;
        if (!cancel_call(*check)) return skip(u, c, *check, "no answer in time");
        Observation seen;
        seen.outcome = CheckOutcome::Fail;
        seen.soft = true;
        // Without the grace, which is ours: what is left beyond the timeout is a stall of this
        // host.
        seen.took = ports.clock.now() - check->started - kAnswerGrace;
        seen.output = "timed out after " + short_duration(check->spec.timeout);
        report(u, c, *check, std::move(seen));
    }
    void unanswered(UnitIndex u, CheckIndex c, std::uint64_t run, const std::string& why) {
        Check* check = find(u, c);
        if (check != nullptr && check->running && check->run == run) skip(u, c, *check, why);
    }
    void skip(UnitIndex u, CheckIndex c, Check& check, const std::string& why) {
        check.running = false;
        disarm(check);
        if (check.enabled) arm_following(u, c, check);
        const auto tell = ports.no_result;
        if (tell) tell(u, c, why);
    }
    // A log is looked at from now on.
    void open_log(const std::string& key, Check& check) {
        const auto* spec = std::get_if<LogCheckSpec>(&check.spec.probe);
        if (spec == nullptr) return;
        check.log = std::make_shared<LogMemory>();
        check.log->scan = ports.logs.open({key, spec->bad, spec->good});
        check.log->good_at = ports.clock.now();
        check.log->looked_at = check.log->good_at;
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
    std::shared_ptr<ProcessTable> table = std::make_shared<ProcessTable>();
    std::shared_ptr<bool> alive = std::make_shared<bool>(true); // for answers that come late
};

CheckScheduler::CheckScheduler(Ports ports, Sink sink)
    : impl_(std::make_unique<Impl>(std::move(ports), std::move(sink))) {}
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
        impl_->open_log(spec.key, check);
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
    impl_->open_log(impl_->units.at(u).key, *check);
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
