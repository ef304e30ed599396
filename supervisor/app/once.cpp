#include "supervisor/app/once.h"

#include "supervisor/app/local_tasks.h"
#include "supervisor/engine/unit_view.h"
#include "supervisor/logs/log_scan.h"
#include "supervisor/net/cares_client.h"
#include "supervisor/net/curl_client.h"
#include "supervisor/net/uv_tcp_probe.h"
#include "supervisor/status/status_document.h"
#include "supervisor/uv/pool_offload.h"
#include "units/check_counter.h"
#include "units/verdict.h"

#include <algorithm>
#include <csignal>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr auto kSlack = 3s; // a check that gave no answer at all by then never will

std::string this_host() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

// As an external unit: watched, never acted upon.
UnitSpec watched_only(UnitSpec spec) {
    spec.kind = UnitKind::External;
    spec.policy.window.reset();
    for (auto& check : spec.checks) {
        check.failures = 1;
        // Which processes are the unit's own only a supervisor knows.
        if (std::holds_alternative<ResourceCheckSpec>(check.probe)) check.enabled = false;
        // It tells of lines that come while somebody looks.
        if (std::holds_alternative<LogCheckSpec>(check.probe)) check.enabled = false;
        if (auto* port = std::get_if<PortCheckSpec>(&check.probe)) port->own = false;
    }
    return spec;
}

class Once {
  public:
    explicit Once(const Configuration& config)
        : config_(config),
          timers_(loop_, clock_),
          http_(loop_),
          tcp_(loop_),
          dns_(loop_),
          logs_([](const std::string&) { return FileLogScans::Place{}; }, clock_),
          tasks_(loop_),
          offload_(loop_),
          checks_({clock_,
                   timers_,
                   http_,
                   tcp_,
                   tasks_,
                   offload_,
                   [](UnitIndex) { return TreeRef{}; },
                   dns_,
                   logs_,
                   {},
                   [this](UnitIndex, CheckIndex, const std::string&) { one_less(); }},
                  [this](const Observation& o) { observe(o); }) {
        for (const UnitSpec& unit : config.units) {
            if (!unit.enabled) continue;
            Watched w{unit.kind, watched_only(unit), {}, {}};
            w.record = initial_record(w.spec, clock_.now());
            units_.push_back(std::move(w));
        }
    }

    std::string run() {
        Duration longest{};
        for (UnitIndex i = 0; i < units_.size(); ++i) {
            const UnitSpec& spec = units_[i].spec;
            checks_.start(i, spec, 0);
            for (std::size_t n = 0; n < spec.checks.size(); ++n) {
                const auto c = static_cast<CheckIndex>(n);
                // Who waits for a heartbeat cannot be asked.
                if (!spec.checks[c].enabled || !checks_.has_answer(i, c)) continue;
                ++left_;
                longest = std::max(longest, spec.checks[c].timeout);
            }
            checks_.run_now(i, std::nullopt);
        }
        timers_.arm(clock_.now() + longest + kSlack, [this] { loop_.stop(); });
        if (left_ > 0) loop_.run();
        for (UnitIndex i = 0; i < units_.size(); ++i) checks_.stop(i);
        return document();
    }

  private:
    struct Watched {
        UnitKind kind;
        UnitSpec spec;
        UnitRecord record;
        UnitView view;
    };

    void observe(const Observation& o) {
        Watched& w = units_[o.unit];
        CheckCounter& counter = w.record.checks[o.check];
        if (counter.ran) return;
        const CheckSpec& check = w.spec.checks[o.check];
        const bool soft = w.kind == UnitKind::External && o.soft;
        (void)count_run(
            counter, check, std::nullopt,
            {o.outcome, o.code, soft ? CheckEffect::Degraded : check.effect, true, clock_.now()});
        counter.ran = true;
        counter.last_at = clock_.now();
        w.view.observe(w.spec, o, clock_.wall());
        one_less();
    }
    void one_less() {
        if (--left_ == 0) loop_.stop();
    }

    std::string document() {
        StatusDocument document;
        for (UnitIndex i = 0; i < units_.size(); ++i) document.update(snapshot(i));
        SupervisorSnapshot s;
        s.generated_at = s.started_at = clock_.wall();
        s.host = this_host();
        s.version = KEEPWELL_VERSION;
        s.mode = "development_fallback";
        s.note = "no supervisor: these are the results of one run of each check";
        s.health_threshold = config_.supervisor.health_threshold;
        return document.render(s);
    }

    UnitSnapshot snapshot(UnitIndex i) {
        Watched& w = units_[i];
        w.record.health = verdict_of(w.spec, w.record);
        w.record.reason = running_reason(w.spec, w.record);
        UnitSnapshot s =
            w.view.snapshot(w.spec, w.record,
                            {clock_, [](UnitIndex) { return std::string(); },
                             [](CheckIndex) { return std::optional<Instant>(); }, false, 30});
        s.kind = w.kind;
        if (w.kind == UnitKind::External) return s;
        s.state = State::Unknown;
        s.started_at = {};
        if (w.spec.checks.empty()) s.health = Verdict::Unknown;
        if (s.reason.empty()) s.reason = "no supervisor keeps it now";
        return s;
    }

    const Configuration& config_;
    uv::Loop loop_;
    uv::MonotonicClock clock_;
    uv::LoopTimers timers_;
    CurlHttpClient http_;
    UvTcpProbe tcp_;
    CaresClient dns_;
    FileLogScans logs_;
    LocalTasks tasks_;
    PoolOffload offload_;
    CheckScheduler checks_;
    std::vector<Watched> units_;
    std::size_t left_ = 0;
};

} // namespace

std::string check_once(const Configuration& config) {
    std::signal(SIGPIPE, SIG_IGN); // a TLS peer that hangs up is a failed check, not our end
    return Once(config).run();
}

} // namespace keepwell
