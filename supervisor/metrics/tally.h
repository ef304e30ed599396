// Tally: what /metrics counts of the units, kept where it happens: ends, restarts and how they
// went, recoveries, results of checks, CPU time.
//
// Fed by the engine's steps, by observations and by samples; read by the page. Counters begin at 0
// with the supervisor (readers of Prometheus expect that) and follow a unit over reloads, a check
// by its ID. Every restart of `restarts.total` is counted once it has gone well or badly: "success"
// is that the unit came to run, "failure" everything else that ended it. One thread.
#pragma once

#include "supervisor/engine/engine.h"
#include "supervisor/metrics/histogram.h"
#include "units/ports/clock.h"
#include "watchers/check_scheduler.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace keepwell::metrics {

// Of seconds: a check's answer, a unit's way back to health.
inline constexpr std::array<double, 10> kCheckBounds = {0.001, 0.005, 0.025, 0.1, 0.25,
                                                        0.5,   1,     2.5,   5,   10};
inline constexpr std::array<double, 7> kRecoveryBounds = {1, 5, 15, 60, 300, 1800, 7200};

inline constexpr std::array<std::string_view, 5> kExitReasons = {"success", "error", "signal",
                                                                 "oom", "unknown"};
inline constexpr std::array<std::string_view, 6> kTriggers = {
    "check", "exit", "start_failure", "dependency", "operator", "other"};
inline constexpr std::array<std::string_view, 3> kCheckResults = {"pass", "warn", "fail"};

struct CheckTally {
    explicit CheckTally(std::string check) : id(std::move(check)) {}
    std::string id;
    std::array<std::uint64_t, kCheckResults.size()> results{}; // by CheckOutcome
    Histogram duration{kCheckBounds};
    CheckOutcome last = CheckOutcome::Pass; // once there is a result
    int code = 0;
    WallTime passed_at, cert_expires_at; // 0 = never
};

struct CpuSeconds {
    double user = 0, system = 0;
};

// A moment of the monotonic clock as wall clock time, so that it never wavers.
struct Stamp {
    Instant at{};
    WallTime wall;
};

struct UnitTally {
    std::array<std::uint64_t, kExitReasons.size()> exits{};
    struct Restarts {
        std::uint64_t success = 0, failure = 0;
    };
    std::array<Restarts, kTriggers.size()> restarts{};
    std::optional<std::size_t> restarting; // its trigger: how it goes is not known yet
    Histogram recovery{kRecoveryBounds};
    CpuSeconds cpu;
    std::vector<CheckTally> checks; // one for each UnitSpec::checks after align()
    Stamp started, changed;

    // The tallies of checks follow their IDs when the specification is another one.
    void align(const UnitSpec&);
    // Brings the stamps up to date with the record.
    void stamp(const UnitRecord&, const Clock&);
};

class Tally {
  public:
    void step(const StepInfo&);
    void observe(const UnitSpec&, const Observation&, WallTime now);
    void add_cpu(UnitIndex, CpuSeconds); // since the sample before
    void forget(UnitIndex i) { units_.erase(i); }
    UnitTally& of(UnitIndex i) { return units_[i]; }

  private:
    std::unordered_map<UnitIndex, UnitTally> units_;
};

} // namespace keepwell::metrics
