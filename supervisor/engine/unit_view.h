// UnitView: what people see of one unit beyond its record: texts, wall-clock times, rates and short
// histories. Fed by the engine's steps and by observations; snapshot() joins it with spec and
// record. Never takes part in a decision.
#pragma once

#include "supervisor/engine/engine.h"
#include "units/ports/clock.h"
#include "units/snapshot.h"
#include "watchers/check_scheduler.h"

#include <functional>
#include <string>
#include <vector>

namespace keepwell {

// Percent of failed runs over the last hour, in minutes.
class HourlyRate {
  public:
    void add(WallTime now, bool failed);
    double percent(WallTime now) const noexcept;

  private:
    struct Minute {
        std::int32_t minute = -1;
        std::uint16_t runs = 0, failed = 0;
    };
    std::vector<Minute> minutes_; // 60, once there was a run
};

// Of a step that adds a restart: "check", "exit", "start_failure", "dependency", "operator" or "".
std::string restart_trigger(const StepInfo&);

struct ProcessFigures { // sampled; see supervisor/app/metrics
    std::optional<double> cpu_percent, memory_percent;
    std::optional<std::uint64_t> memory_bytes, open_fds, threads;
    std::vector<std::int64_t> pids; // the first of them
    std::uint64_t process_count = 0;
    bool operator==(const ProcessFigures&) const = default;
};

class UnitView {
  public:
    void step(const StepInfo&, WallTime now);
    void observe(const UnitSpec&, const Observation&, WallTime now);
    void tick(const UnitRecord&); // one history step
    char last_step() const { return history_.empty() ? '\0' : history_.back(); }
    void restore_steps(const std::string& letters); // that were before the own ones
    bool set_uptime(const UptimeRatios&);           // false = nothing new
    bool set_figures(ProcessFigures);               // false = nothing new
    void set_log(std::uint64_t dropped, std::string error);
    bool set_status(std::string text); // the daemon's own words; false = nothing new
    void set_hint(std::string text) {
        hint_ = std::move(text);
    } // joins the reason until the unit runs
    void keep_checks(const UnitSpec& before,
                     const UnitSpec& after); // texts follow their check's id over a reload

    struct Context {
        const Clock& clock;
        std::function<std::string(UnitIndex)> key_of;
        std::function<std::optional<Instant>(CheckIndex)> next_run;
        bool tree_certain = false;
        double history_step_s = 30;
        std::vector<std::string> warnings = {}; // see UnitSnapshot
        Threshold<Duration> response = MetricsSpec{}.response;
    };
    UnitSnapshot snapshot(const UnitSpec&, const UnitRecord&, const Context&) const;
    const ProcessFigures& figures() const { return figures_; }
    // The text of the table's last column.
    std::string reason_text(const UnitSpec&, const UnitRecord&, const Context&) const;

  private:
    struct CheckTexts {
        std::string output;
        double took_ms = -1;
        int code = 0;
        WallTime time, failing_since;
        CheckOutcome outcome = CheckOutcome::Pass;
        WallTime cert_expires_at;
        Reported reported;
    };
    void fill_checks(UnitSnapshot&, const UnitSpec&, const UnitRecord&, const Context&) const;
    void fill_restarts(UnitSnapshot&, const UnitSpec&, const UnitRecord&, const Context&) const;

    std::vector<CheckTexts> checks_;
    HourlyRate rate_;
    WallTime last_restart_at_, last_exit_at_;
    std::string last_trigger_, paused_by_;
    std::string hint_;
    std::string refusal_; // of a stop; as long as it runs on
    std::string status_;
    std::string spawn_detail_; // error text of the last failed start
    bool attempted_ = false;
    std::optional<bool> attempt_ok_;
    std::string attempt_error_;
    std::string history_;
    UptimeRatios uptime_;
    std::vector<double> latency_;
    std::vector<WallTime> flips_; // recent changes of the verdict
    ProcessFigures figures_;
    std::uint64_t log_dropped_ = 0;
    std::string log_error_;
};

} // namespace keepwell
