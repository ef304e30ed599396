// CheckScheduler: runs the checks of units on time and reports each result; it observes and never
// heals.
//
// The first run of a check comes within 1 s of start(). Later runs lie on a grid of `interval`
// whose phase is a hash of unit key and check ID, the same in every process: the second run comes
// between 1/4 and 5/4 of the interval after the first, then the distance is exact. Between a first
// failure and the verdict the next run comes retry_interval after the last result. A check never
// overlaps itself; a result of an older generation is dropped; runs missed in a suspend or a stall
// are not made up for: one run, spread over a second. A port that does not answer is given up 2 s
// after the deadline, as a timeout; work that found no thread until then, and a bus that is lost,
// say nothing of the unit and give no result. All calls on the loop; the sink is never called from
// inside a call, and may make any call. Each event costs O(log n) of all checks.
#pragma once

#include "units/ports/clock.h"
#include "units/ports/dns_client.h"
#include "units/ports/http_client.h"
#include "units/ports/log_scan.h"
#include "units/ports/offload.h"
#include "units/ports/systemd_state.h"
#include "units/ports/task_host.h"
#include "units/ports/tcp_probe.h"
#include "units/ports/timers.h"
#include "units/snapshot.h"
#include "units/types.h"
#include "units/unit_spec.h"
#include "watchers/tree_sample.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

struct Observation {
    UnitIndex unit = 0;
    Generation generation = 0;
    CheckIndex check = 0;
    CheckOutcome outcome = CheckOutcome::Pass;
    int code = 0;       // http status or exit code
    std::string output; // short text: "http 503", "timed out after 5 s", "connection refused", last
                        // output of an exec check
    Duration took{};
    // A timeout or a 5xx, whatever the unit's kind: for external units these only degrade.
    bool soft = false;
    std::optional<WallTime> cert_expires_at; // the last that was seen
    Reported reported;                       // of an http check
};

class CheckScheduler {
  public:
    struct Ports {
        Clock& clock;
        Timers& timers;
        HttpClient& http;
        TcpProbe& tcp;
        TaskHost& tasks;
        Offload& offload;
        std::function<TreeRef(UnitIndex)> tree; // the unit's processes as they are now
        DnsClient& dns;
        LogScans& logs;
        AskSystemd systemd = {}; // empty = no bus here
        // A run that began ended without a result, and why. May be empty; see Sink for the rules.
        std::function<void(UnitIndex, CheckIndex, const std::string&)> no_result = {};
    };
    using Sink = std::function<void(Observation)>;
    CheckScheduler(Ports, Sink);
    ~CheckScheduler();

    // Starts every check that the spec enables (set_enabled() is not remembered) for this
    // generation; replaces what ran for the unit before. `spec` is copied as far as needed.
    void start(UnitIndex, const UnitSpec& spec, Generation);
    void stop(
        UnitIndex) noexcept; // after it the sink is not called for this unit until the next start()
    void set_enabled(UnitIndex, CheckIndex, bool);
    // Run now (once); a run under way counts as it. nullopt = all enabled checks of the unit; a
    // check that is named runs also when it is disabled.
    void run_now(UnitIndex, std::optional<CheckIndex> check);
    // A beat of the unit, or its own word that it is sick, for each of its heartbeat checks. The
    // first beat and the end of a failure are reported soon, else the next run sees it. false: it
    // has no such check now.
    bool beat(UnitIndex, bool trouble = false);
    // false for a heartbeat check that waits for its first beat: run_now() reports nothing of it.
    bool has_answer(UnitIndex, CheckIndex) const;
    // The engine says what the counters make of a result: failing below the threshold = retry
    // sooner.
    void set_pending(UnitIndex, CheckIndex, bool pending);
    // While a run is under way: when the one after it is due. nullopt: stopped or disabled.
    std::optional<Instant> next_run(UnitIndex, CheckIndex) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// "https://user:secret@host/x?token=…" without user info, for display.
std::string display_url(const std::string& url);
// "200-299,304"
std::string display_statuses(const std::vector<StatusRange>&);
// Foreign text made safe for status.json and terminals: valid UTF-8, no control characters, at most
// `limit` bytes.
std::string clean_text(std::string_view raw, std::size_t limit = 512);

} // namespace keepwell
