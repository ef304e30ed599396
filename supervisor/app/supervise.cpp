#include "supervisor/app/supervise.h"

#include "supervisor/app/control_impl.h"
#include "supervisor/app/feed_service.h"
#include "supervisor/app/fleet.h"
#include "supervisor/app/log_book.h"
#include "supervisor/app/manager_notice.h"
#include "supervisor/app/metrics.h"
#include "supervisor/app/metrics_page.h"
#include "supervisor/app/open_api.h"
#include "supervisor/app/past.h"
#include "supervisor/app/process_setup.h"
#include "supervisor/app/reload.h"
#include "supervisor/app/runtime_json.h"
#include "supervisor/app/unit_hosts.h"
#include "supervisor/net/cares_client.h"
#include "supervisor/net/curl_client.h"
#include "supervisor/net/uv_tcp_probe.h"
#include "supervisor/notify/notify_sockets.h"
#include "supervisor/status/status_writer.h"
#include "supervisor/uv/pool_offload.h"

#include <csignal>
#include <cstdio>
#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr std::uint64_t kSettleMs = 20;
constexpr std::uint64_t kStartedMs = 10'000; // a start is over by then
constexpr std::size_t kEventsBack = 4000;
constexpr Duration kLastWords = std::chrono::seconds(3); // to be written at the end

class Supervisor {
  public:
    Supervisor(const SuperviseOptions&, LoadResult, std::string note);
    Result<int> run();

  private:
    std::unique_ptr<StateFile> open_state();
    KeeperClient::Hooks keeper_hooks();
    NotifySockets::Hooks notify_hooks();
    StatusWriter::Documents render();
    SupervisorSnapshot snapshot();
    std::string runtime_json();
    Result<std::string> take_reload(bool dry, const std::string& who, LoadResult fresh);
    Result<std::string> apply(const std::string& who, LoadResult fresh);
    Status shutdown(const std::string& who, bool leave);
    void begin_shutdown(const std::string& who);
    void begin_leaving(const std::string& who, bool upgrade);
    Status begin_upgrade(const std::string& who);
    void finish();
    void end();
    void leave();
    void on_log(const LogReport&);
    void changed();
    const SupervisorSpec& spec() const { return loaded_.config.supervisor; }

    SuperviseOptions options_;
    LoadResult loaded_;
    std::string note_;
    int exit_code_ = 0;

    uv::Loop loop_;
    uv::MonotonicClock clock_;
    uv::LoopTimers timers_;
    WallTime started_at_;
    std::uint64_t sequence_ = 0;
    std::unique_ptr<StateFile> state_;
    WantedStore wanted_;
    EventStore events_;
    LogBook logs_;
    KeeperClient keeper_;
    NotifySockets notify_;
    CurlHttpClient http_;
    UvTcpProbe tcp_;
    CaresClient dns_;
    PoolOffload offload_;
    UnitHosts hosts_;
    std::unique_ptr<StatusWriter> writer_;
    Fleet fleet_;
    StatusCache status_;
    Past past_;
    ControlImpl control_;
    FeedService feeds_;
    Metrics metrics_;
    MetricsPage metrics_page_;
    ManagerNotice notice_;
    std::unique_ptr<ApiServer> api_;
    // A restart is a burst of changes; the document is made once it is over, so that no spawn waits
    // for it.
    bool settling_ = false;
    uv::Timer settle_, alive_, started_;
    std::shared_ptr<void> saving_;
    ReloadQueue reloads_;
    bool leaving_ = false, upgrading_ = false;
    std::string upgrade_error_; // of the last try
};

Supervisor::Supervisor(const SuperviseOptions& options, LoadResult loaded, std::string note)
    : options_(options),
      loaded_(std::move(loaded)),
      note_(std::move(note)),
      timers_(loop_, clock_),
      started_at_(clock_.wall()),
      state_(open_state()),
      wanted_(loop_, spec().state_dir + "/wanted",
              [](const std::string& e) { spdlog::error("{}", e); }),
      events_(loop_, spec().state_dir + "/events.jsonl",
              [](const std::string& e) {
                  spdlog::error("{}; `why` and `events` will not reach back beyond a restart", e);
              }),
      logs_(loop_, *state_, spec().log_dir,
            {[this](const LogReport& r) { on_log(r); },
             [this](const std::string& key) { return fleet_.can_reopen_log(key); },
             [this](const std::string& key) { fleet_.reopen_log(key); }}),
      keeper_(loop_, clock_, options.keeper_fd, keeper_hooks()),
      notify_(loop_, clock_, notify_hooks()),
      http_(loop_),
      tcp_(loop_),
      dns_(loop_),
      offload_(loop_),
      hosts_({loop_, clock_, timers_, offload_, keeper_,
              [this](const std::string& key) { return fleet_.starting(key); },
              [this](const std::string& key, const std::string& text) {
                  fleet_.timeline().note(key, "systemd", text);
              }}),
      fleet_({loop_, clock_, timers_, hosts_.all(), keeper_, http_, tcp_, dns_, offload_, clock_,
              [this] { changed(); },
              [this] {
                  hosts_.start_systemd();
                  notice_.ready();
              },
              [this](const std::string& key, const LogSpec& s) { logs_.set(key, s); },
              [this](const std::string& key) { logs_.forget(key); },
              [this](const std::string& key) { notify_.drain(key); },
              [this](const std::string& key) { notify_.drop(key); },
              [this](const std::string& key, Generation g, std::int64_t pid) {
                  keeper_.set_main(key, g, pid);
              },
              [this](const SystemdCheckSpec& check, auto done) {
                  hosts_.ask_systemd(check, std::move(done));
              }},
             *state_, wanted_, events_, spec()),
      status_(clock_,
              {[this] {
                   ++sequence_;
                   return fleet_.document().render(snapshot());
               },
               [this] { return fleet_.has_news(); }},
              spec().status_interval),
      past_({loop_, clock_, fleet_, [this] { changed(); },
             [this] {
                 if (api_) api_->notify();
             },
             [](const std::string& text) { spdlog::warn("{}", text); }}),
      control_({fleet_, clock_, [this] { return snapshot(); }, [this] { return runtime_json(); },
                [this](bool dry, const std::string& who, auto done) {
                    reloads_.ask({dry, who, std::move(done)});
                },
                [this](const std::string& who, bool leave) { return shutdown(who, leave); },
                [this](const std::string& who) { return begin_upgrade(who); }, hosts_.all(),
                status_, [this] { return metrics_page_.text(); }, past_, offload_,
                [this]() -> FeedService& { return feeds_; },
                [this] {
                    if (api_) api_->notify();
                }}),
      feeds_({loop_, clock_, fleet_, [this] { return snapshot(); },
              [this](const std::string& type) { return control_.log_places(type); },
              [this] {
                  return FeedService::Limits{spec().api.max_streams,
                                             spec().api.max_streams_per_address};
              }}),
      metrics_(loop_, fleet_, [this] { changed(); }),
      metrics_page_({clock_, fleet_, metrics_, logs_, [this] { return writer_.get(); },
                     [this] { return api_ ? feeds_.counted(api_->counters()) : nullptr; }},
                    note_.empty()),
      notice_({loop_, clock_, fleet_.engine(), [this] { return keeper_.has_manager(); },
               [this](const std::string& text) { keeper_.notify(text); }}),
      settle_(loop_,
              [this] {
                  settling_ = false;
                  if (writer_) writer_->changed();
                  notice_.changed();
              }),
      alive_(loop_, [this] { keeper_.alive(); }),
      started_(loop_, forget_start),
      reloads_({loop_, options_.load,
                [this](bool dry) {
                    if (!dry) notice_.reloading();
                },
                [this](bool dry, const std::string& who, LoadResult fresh) {
                    return take_reload(dry, who, std::move(fresh));
                },
                [this] {
                    if (api_) api_->notify();
                }}) {}

std::unique_ptr<StateFile> Supervisor::open_state() {
    std::string note;
    const std::string path = spec().runtime_dir + "/supervisor.state";
    auto file = options_.safe ? StateFile::open_afresh(path) : StateFile::open(path, &note);
    if (!file) throw std::runtime_error(file.error().message);
    if (!note.empty()) spdlog::warn("{}", note);
    return std::move(*file);
}

KeeperClient::Hooks Supervisor::keeper_hooks() {
    KeeperClient::Hooks h;
    h.on_connected = [this](std::vector<StagePipe> stages) {
        const auto ms = static_cast<std::uint64_t>(keeper_.alive_interval() / 1ms);
        alive_.start(ms, ms);
        const Status carried = logs_.connected(std::move(stages));
        if (carried) return;
        spdlog::error("{}; beginning anew", carried.error().message);
        exit_code_ = 1; // the keeper starts the next one
        loop_.stop();
    };
    h.on_output = [this](const std::string& key, Generation g, int fd) { logs_.take(key, g, fd); };
    h.on_errors = [this](const std::string& key, Generation g, int fd) {
        logs_.take_errors(key, g, fd);
    };
    h.on_notify = [this](const std::string& key, Generation g, int fd) {
        notify_.take(key, g, fd);
    };
    h.on_main = [this](const std::string& key, Generation g, std::int64_t pid, int error) {
        if (!hosts_.on_main(key, g, pid, error)) fleet_.on_main(key, g, pid, error);
    };
    h.on_stop_requested = [this] { begin_shutdown("a signal"); };
    h.on_reload_requested = [this] {
        reloads_.ask({false, ReloadQueue::kHangUp, [](const Result<std::string>& r) {
                          if (!r)
                              spdlog::error("cannot reload: nothing was changed\n{}",
                                            r.error().message);
                      }});
    };
    h.on_leave_requested = [this] { begin_leaving("an upgrade", true); };
    h.on_upgrade_refused = [this](const std::string& why) {
        upgrading_ = false;
        upgrade_error_ = why;
        fleet_.timeline().add("", "upgrade", "refused, nothing was changed: " + why);
        spdlog::error("cannot upgrade: {}", why);
    };
    h.on_lost = [this] {
        // Its children live on and the next keeper adopts them; whoever stays would only write
        // beside the next one.
        spdlog::error(
            "the keeper is gone; daemons keep running, start keepwell again to adopt them");
        std::_Exit(1);
    };
    return h;
}

NotifySockets::Hooks Supervisor::notify_hooks() {
    NotifySockets::Hooks h;
    h.belongs = [this](const std::string& key, const NotifySender& sender) {
        const auto tree = keeper_.tree(key);
        return tree && belongs(sender, key, *tree);
    };
    h.on_message = [this](const std::string& key, Generation g, const NotifyMessage& m) {
        fleet_.on_notify(key, g, m);
    };
    h.on_refused = [this](const std::string& key, const std::string& why) {
        fleet_.on_notify_refused(key, why);
    };
    return h;
}

void Supervisor::changed() {
    status_.changed();
    if (api_) api_->notify();
    feeds_.changed();
    if (settling_) return;
    settling_ = true;
    settle_.start(kSettleMs);
}

void Supervisor::on_log(const LogReport& r) {
    fleet_.set_log(r.key, r.dropped_bytes, r.error);
    if (r.eof) return;
    const std::string text = r.error.empty() ? "the log is written again" : r.error;
    spdlog::warn("{}: {}", r.key, text);
    fleet_.timeline().add(r.key, "log", text);
}

SupervisorSnapshot Supervisor::snapshot() {
    SupervisorSnapshot s;
    s.sequence = sequence_;
    s.generated_at = clock_.wall();
    s.started_at = started_at_;
    s.host = host_name();
    s.version = KEEPWELL_VERSION;
    s.note = note_.empty() && writer_ ? writer_->note() : note_;
    s.interval_s = std::chrono::duration<double>(spec().status_interval).count();
    s.health_threshold = spec().health_threshold;
    s.metrics = metrics_.host();
    s.limits = spec().metrics;
    s.last_incident = fleet_.timeline().last_incident();
    return s;
}

StatusWriter::Documents Supervisor::render() {
    const auto bytes = status_.make();
    return {*bytes, fleet_.document().render_history(snapshot())};
}

std::string Supervisor::runtime_json() {
    return keepwell::runtime_json({loaded_, fleet_, keeper_.keeper_pid(), started_at_,
                                   api_ ? api_->addresses() : std::vector<std::string>{},
                                   options_.safe && note_ == kSafeNote, upgrading_, upgrade_error_,
                                   note_});
}

Result<std::string> Supervisor::take_reload(bool dry, const std::string& who, LoadResult fresh) {
    if (fleet_.shutting_down() || leaving_)
        return Error{"cannot reload: keepwell is shutting down", 0};
    if (dry) return apply_reload(fleet_, std::move(fresh), true);
    auto result = apply(who, std::move(fresh));
    metrics_page_.reloaded(static_cast<bool>(result));
    if (fleet_.reconciled()) notice_.ready();
    return result;
}

Result<std::string> Supervisor::apply(const std::string& who, LoadResult fresh) {
    auto result = apply_reload(fleet_, fresh, false);
    if (!result) {
        fleet_.timeline().add("", "reload",
                              who + ": refused, nothing was changed: " + result.error().message);
        return result;
    }
    fleet_.timeline().add("", "reload", who + ": applied");
    const SupervisorSpec frozen = spec();
    loaded_ = std::move(fresh);
    loaded_.config.supervisor = fleet_.supervisor();
    std::vector<UnitSpec>().swap(loaded_.config.units);
    malloc_trim(0);
    note_.clear();
    status_.set_interval(spec().status_interval);
    if (writer_) writer_->set_interval(spec().status_interval);
    if (api_) api_->set(api_spec(spec()));
    if (frozen.metrics != spec().metrics) metrics_.start(spec().metrics);
    past_.apply(spec().history);
    spdlog::set_level(spdlog::level::from_str(spec().log_level));
    saving_ = keep_last_good(loop_, spec().state_dir, loaded_);
    return result;
}

Status Supervisor::begin_upgrade(const std::string& who) {
    if (fleet_.shutting_down() || leaving_)
        return Error{"cannot upgrade: keepwell is shutting down", 0};
    if (upgrading_) return Error{"cannot upgrade: an upgrade is under way", 0};
    fleet_.timeline().add("", "upgrade", "asked by " + who);
    upgrading_ = true;
    upgrade_error_.clear();
    keeper_.upgrade();
    return Done{};
}

// Nothing is stopped: records and wanted states are saved at each step, and the pipes keep what is
// in them. The movers end between two turns, so nothing is left in the staging pipes.
void Supervisor::begin_leaving(const std::string& who, bool upgrade) {
    if (fleet_.shutting_down() || leaving_) return;
    leaving_ = true;
    spdlog::info("leaving every daemon as it is, asked by {}", who);
    fleet_.timeline().add("", upgrade ? "upgrade" : "shutdown",
                          upgrade ? "the installed program takes over"
                                  : "leaves every daemon as it is, asked by " + who);
    upgrade ? notice_.reloading() : notice_.stopping();
    logs_.close();
    if (!upgrade) {
        note_ = "keepwell has ended and left its daemons running; the next run takes them over";
        if (const Status s = writer_->finish(); !s) spdlog::error("{}", s.error().message);
    }
    keeper_.finished(0, true);
    leave();
}

// The keeper would take the end of this supervisor for its part of the upgrade.
Status Supervisor::shutdown(const std::string& who, bool leave) {
    if (upgrading_)
        return Error{"cannot shut down: an upgrade is under way; try again in a moment", 0};
    if (leave)
        begin_leaving(who, false);
    else
        begin_shutdown(who);
    return Done{};
}

void Supervisor::begin_shutdown(const std::string& who) {
    if (fleet_.shutting_down() || leaving_) return;
    spdlog::info("stopping everything, asked by {}", who);
    notice_.stopping();
    note_ = "stopping";
    fleet_.shut_down(who, [this] { finish(); });
}

// With the keeper the pipes go: what is in them is written before. A disk that does not write holds
// nobody up for longer.
void Supervisor::finish() {
    timers_.arm(clock_.now() + kLastWords, [this] {
        if (leaving_) return;
        spdlog::warn(
            "cannot write the last output of the daemons to {} within 3 s: what is left of "
            "it is lost; see whether that disk can be written",
            spec().log_dir);
        end();
    });
    logs_.flush([this] { end(); });
}

void Supervisor::end() {
    if (std::exchange(leaving_, true)) return;
    note_ = "stopped";
    if (const Status s = writer_->finish(); !s) spdlog::error("{}", s.error().message);
    // A clean end leaves nothing to adopt: the next run starts afresh from configuration and wanted
    // states.
    (void)unlink((spec().runtime_dir + "/supervisor.state").c_str());
    keeper_.finished(exit_code_);
    leave();
}

// Answers on the control socket and the goodbye get out first.
void Supervisor::leave() {
    timers_.arm(clock_.now() + 50ms, [this] {
        if (!keeper_.flushed()) return leave();
        loop_.stop();
    });
}

Result<int> Supervisor::run() {
    StatusWriter::Options options;
    options.path = spec().status_file;
    options.interval = spec().status_interval;
    writer_ = std::make_unique<StatusWriter>(
        clock_, timers_, StatusWriter::pool_of(loop_), options, [this] { return render(); },
        [](const std::string& text) { spdlog::warn("{}", text); });
    if (!options_.safe)
        for (const auto& line : EventStore::load(spec().state_dir + "/events.jsonl", kEventsBack))
            fleet_.timeline().restore(line);
    fleet_.timeline().add("", "keepwell",
                          fmt::format("supervisor {} began, pid {}", KEEPWELL_VERSION, getpid()));
    hosts_.connect(&fleet_, &fleet_);
    Configuration config{spec(), std::exchange(loaded_.config.units, {})}; // the fleet has them now
    fleet_.load(std::move(config));
    malloc_trim(0); // reading the files took more than running will
    auto api = open_api(loop_, clock_, control_, spec());
    if (!api) return api.error();
    api_ = std::move(*api);
    keeper_.set_log_directory(spec().log_dir);
    keeper_.start();
    keeper_.alive();
    past_.start(options_.safe ? "" : spec().state_dir + "/history.db", spec().history);
    metrics_.start(spec().metrics);
    writer_->start();
    if (!options_.safe) saving_ = keep_last_good(loop_, spec().state_dir, loaded_);
    started_.start(kStartedMs);
    loop_.run();
    feeds_.end_all();
    api_.reset();
    past_.close();
    logs_.close();
    return exit_code_;
}

} // namespace

int supervise(const SuperviseOptions& options) {
    keep_memory_small();
    std::signal(SIGPIPE, SIG_IGN);
    // A terminal's interrupt reaches the keeper as well, and it asks for an orderly stop.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    setenv("UV_THREADPOOL_SIZE", std::to_string(PoolOffload::kThreads).c_str(), 1);
    std::string note;
    auto loaded = load_or_last_good(options.load, options.state_dir, options.safe, note);
    if (!loaded) {
        std::fprintf(stderr, "%s\n", loaded.error().message.c_str());
        return 1;
    }
    set_up_log(loaded->config.supervisor.log_level);
    try {
        Supervisor supervisor(options, std::move(*loaded), note);
        const auto code = supervisor.run();
        if (code) return *code;
        spdlog::error("{}", code.error().message);
    } catch (const std::exception& e) {
        spdlog::error("cannot go on: {}", e.what());
    }
    return 1;
}

} // namespace keepwell
