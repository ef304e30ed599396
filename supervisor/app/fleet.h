// Fleet: the running set of units. Joins the engine with the keeper, the checks, the logs, the
// timeline, the state file and the documents; the one place where a step becomes visible to the
// others.
//
// Life: construct -> load(config) (records restored from the state file) -> connected() by the
// keeper's LIST -> reconciled: what was alive and is not any more is told to the engine, what shall
// run is started. One thread.
#pragma once

#include "supervisor/app/actions.h"
#include "supervisor/app/dispatcher.h"
#include "supervisor/app/port_freer.h"
#include "supervisor/config/config.h"
#include "supervisor/engine/engine.h"
#include "supervisor/engine/event_store.h"
#include "supervisor/engine/state_file.h"
#include "supervisor/engine/timeline.h"
#include "supervisor/engine/unit_view.h"
#include "supervisor/engine/wanted.h"
#include "supervisor/feeds/feed_source.h"
#include "supervisor/history/rows.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/log_scan.h"
#include "supervisor/metrics/page.h"
#include "supervisor/notify/notify_message.h"
#include "supervisor/status/status_document.h"
#include "supervisor/systemd/journal.h"
#include "supervisor/uv/lag_meter.h"
#include "units/ports/process_host.h"
#include "watchers/check_scheduler.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace keepwell {

// Who writes down what happens; see supervisor/app/past.h.
class PastListener {
  public:
    virtual ~PastListener() = default;
    virtual void on_line(const TimelineLine&) = 0;
    virtual void on_change(history::ChangeRow) = 0;
};

class Fleet final : public EngineListener, public ProcessListener, public SightListener {
  public:
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        Timers& timers;
        ProcessHost& processes;
        TaskHost& tasks;
        HttpClient& http;
        TcpProbe& tcp;
        DnsClient& dns;
        Offload& offload;
        Clock& mutable_clock;
        std::function<void()> changed;    // the document has news
        std::function<void()> reconciled; // once: what the keeper holds is known
        std::function<void(const std::string& key, const LogSpec&)>
            log_added; // a unit's log settings
        std::function<void(const std::string& key)> log_removed;
        std::function<void(const std::string& key)> drain_notify; // what it said before it ended
        std::function<void(const std::string& key)> drop_notify;  // it says no more
        std::function<void(const std::string& key, Generation, std::int64_t pid)> set_main;
        AskSystemd systemd = {}; // empty = no bus here
    };
    Fleet(Ports, StateFile&, WantedStore&, EventStore&, const SupervisorSpec&);
    ~Fleet() override;

    void load(Configuration);
    ConfigDiff apply(const Configuration& wanted); // a reload that has passed validation
    // As it runs now, made from the parts: nothing keeps a second copy of every unit.
    Configuration configuration() const;
    const SupervisorSpec& supervisor() const { return supervisor_; }
    // Keys as configured; what a pattern found stands behind it.
    std::vector<std::string> order() const;

    // Stops everything in reverse order; `done` is called once when nothing lives any more.
    void shut_down(const std::string& who, std::function<void()> done);
    bool reconciled() const { return reconciled_; }
    bool starting(const std::string& key) const; // and no process of it is known
    bool shutting_down() const { return !shutdown_id_.empty(); }

    // For Control.
    Engine& engine() { return engine_; }
    Actions& actions() { return actions_; }
    Timeline& timeline() { return timeline_; }
    Dispatcher& dispatcher() { return dispatcher_; }
    CheckScheduler& checks() { return checks_; }
    Result<std::vector<UnitIndex>> resolve(const std::vector<std::string>& names) const;
    UnitSnapshot snapshot(UnitIndex) const;
    TreeRef tree(UnitIndex) const; // where to find its processes
    std::string survivors(UnitIndex) const;
    std::string next_text(UnitIndex) const; // the last line of `why`
    void want(UnitIndex, Desired);          // an operator's word, kept over a reboot
    // Every check of the unit asked for by action `id` reports to it.
    void watch_checks(const std::string& id, UnitIndex, std::optional<CheckIndex>);

    // What daemons say themselves, by sd_notify or `keepwell beat`.
    void on_notify(const std::string& key, Generation, const NotifyMessage&);
    void on_notify_refused(const std::string& key, const std::string& why);
    void on_main(const std::string& key, Generation, std::int64_t pid, int error);
    Status beat(UnitIndex);

    // For runtime_json(): where the lines of units are that keepwell does not write.
    void write_logs(JsonWriter&) const;
    // For the API: every stream of lines that the unit has.
    void add_feed_sources(UnitIndex, std::vector<feeds::FeedSource>& to) const;
    StatusDocument& document(); // brought up to date with what changed
    bool has_news() const;      // since the document was last rendered
    void tick();                // one history step for every unit
    // Those of an instance that lives no more are dropped.
    void set_figures(UnitIndex, const std::string& key, Generation, ProcessFigures);
    void add_cpu(UnitIndex, const std::string& key, metrics::CpuSeconds); // since the last sample
    // For /metrics, in the order of the configuration; valid until the next event.
    std::vector<metrics::UnitRow> metrics_rows();
    const metrics::Histogram& loop_lag() const { return loop_lag_; }
    void add_host_step(const HostMetrics&, Duration step); // of their short history
    void set_log(const std::string& key, std::uint64_t dropped, const std::string& error);
    // A log file that the daemon itself writes got another name; its reload_command opens it anew.
    bool can_reopen_log(const std::string& key) const;
    void reopen_log(const std::string& key);
    std::uint64_t stale_events() const { return stale_; }

    // For the history.
    void set_past(PastListener*); // or none
    history::Recorder& recorder() { return recorder_; }
    std::vector<std::pair<std::string, char>> step_letters() const;         // of the last tick
    void restore_steps(const std::string& key, const std::string& letters); // before the own ones
    bool set_uptime(const std::string& key, const UptimeRatios&);           // is it news?

    // EngineListener
    void on_step(const StepInfo&) override;
    void on_effect(UnitIndex, const Effect&) override;
    void on_erased(UnitIndex, const std::string& key) override;
    void on_thrown(const std::string& key, const char* what) noexcept override;
    // ProcessListener
    void on_spawned(const std::string& key, Generation, std::int64_t pid) override;
    void on_spawn_failed(const std::string& key, Generation, SpawnStage, int error,
                         const std::string& text) override;
    void on_exited(const std::string& key, Generation, const ExitStatus&) override;
    void on_tree_empty(const std::string& key, Generation) override;
    void on_adopted(const std::string& key, Generation, std::int64_t pid,
                    Instant started_at) override;
    void on_list_complete() override;
    // SightListener
    void on_started(const std::string& key, Generation, std::int64_t pid,
                    Instant started_at) override;
    void on_appeared(const std::string& key, std::int64_t pid, Instant started_at,
                     const std::string& text) override;
    void on_main_gone(const std::string& key, const ExitStatus&) override;
    void on_tree_gone(const std::string& key) override;
    void on_absent(const std::string& key, bool on_purpose, const ExitStatus&,
                   const std::string& text) override;
    void on_stop_refused(const std::string& key, Generation, const std::string& text,
                         bool transient) override;
    void on_held(const std::string& key, const ExitStatus&, const std::string& text) override;
    void on_discovered(const std::string& pattern_key, const std::string& unit) override;
    void on_blind(const std::string& key, Blindness, const std::string& text) override;

  private:
    struct CheckWatch {
        std::string action;
        std::set<CheckIndex> left;
        std::vector<std::string> failed;
    };
    UnitIndex add_unit(UnitSpec, bool restore);
    std::optional<UnitIndex> introduce(UnitSpec, bool restore); // or a pattern, which is no unit
    void forget_pattern(const std::string& key);
    void forget_found(const std::string& key); // a unit that a pattern found
    void retire(UnitIndex);
    void rebear(const std::string& key);
    bool leaves_alone(UnitIndex) const; // it goes on when keepwell ends
    Desired wanted(const UnitSpec&) const;
    void keep_parts(Configuration&);
    void start_wanted(UnitIndex);
    void reconcile(UnitIndex);
    UnitIndex adopt_unknown(const std::string& key, Generation, std::int64_t pid,
                            Instant started_at);
    void observe(const Observation&);
    bool blamed(const CheckSpec&) const;
    bool storm_guard_allows();
    void count_trips(const StepInfo&);
    void watch_ready_log(UnitIndex);
    void poll_ready_logs();
    void report_checks(const Observation&);
    void settle_watches(UnitIndex, CheckIndex, const std::string& failure); // empty = it passed
    CheckScheduler::Ports check_ports();
    void note_log_end(UnitIndex); // before its spawn
    FileLogScans::Place log_place(const std::string& key) const;
    std::optional<systemd::JournalQuery> journal_of(const UnitSpec&) const;
    void take_phase(UnitIndex, const NotifyMessage&);
    void take_main(UnitIndex, std::int64_t pid);
    void ask_again(const std::string& key, Generation);
    void look_for_port_holder(const StepInfo&);
    void port_taken(UnitIndex, const PortHolder&);
    std::vector<std::string> missing_limits(UnitIndex) const;
    void free_port(UnitIndex, Duration timeout);
    void save(const StepInfo&);
    void remember(UnitIndex);
    void sync_recorder(UnitIndex);
    void remember(const StepInfo&);
    void remember(const Observation&, bool counts);
    void check_shutdown();
    void order_document();
    UnitView::Context context(UnitIndex) const;
    std::string spawn_error(const UnitSpec&, SpawnStage, int error) const;

    Ports p_;
    uv::LagMeter lag_;
    metrics::Histogram loop_lag_{metrics::kLagBounds};
    metrics::Tally tally_;
    StateFile& state_;
    WantedStore& wanted_;
    SupervisorSpec supervisor_;
    std::vector<std::string> order_;
    std::vector<UnitSpec> disabled_; // the engine has the others
    struct Pattern {
        UnitSpec spec;
        std::set<std::string> units; // keys
    };
    std::map<std::string, Pattern> patterns_; // by key
    Timeline timeline_;
    Engine engine_;
    FileLogScans log_scans_;
    CheckScheduler checks_;
    PortFreer freer_;
    Dispatcher dispatcher_;
    Actions actions_;
    StatusDocument document_;
    std::unordered_map<UnitIndex, UnitView> views_;
    std::unordered_set<UnitIndex> dirty_;
    std::map<std::string, UnitSpec> reborn_;    // their kind changed; the old unit ends
    std::vector<std::string> erased_;           // keys that left the document
    std::unordered_set<std::string> confirmed_; // told by the keeper's LIST after a connect
    bool reconciled_ = false;
    std::unordered_set<UnitIndex> early_spawns_; // asked for before the list was read
    std::deque<Instant> trips_;                  // check-triggered restarts of the last minute
    std::unordered_map<UnitIndex, LogWatch> ready_logs_;
    uv::Timer ready_timer_;
    std::multimap<UnitIndex, CheckWatch> check_watches_;
    std::unordered_map<UnitIndex, std::shared_ptr<void>> port_searches_;
    struct Saying { // of one generation
        enum class Phase { None, Reloading, Stopping } phase = Phase::None;
        Instant last_line{};                        // in the timeline
        bool main_asked = false;                    // the keeper has not answered yet
        std::int64_t main_wish = 0;                 // the last one meanwhile; 0 = none
        std::optional<Instant> refused_at, told_at; // a MAINPID, and when it was said
    };
    std::unordered_map<UnitIndex, Saying> sayings_;
    history::Recorder recorder_;
    PastListener* past_ = nullptr;
    std::string shutdown_id_;
    std::function<void()> shutdown_done_;
    std::uint64_t stale_ = 0;
    bool state_failed_ = false;
    std::uint32_t restarts_per_minute_;
};

} // namespace keepwell
