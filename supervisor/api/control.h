// Control: what the HTTP routes may ask of the running supervisor. Implemented by supervisor/app;
// faked in tests.
//
// All calls are made on the loop and return at once. Every text that is returned as "JSON" is a
// complete JSON value ready to be sent. An Error's code chooses the answer: ENOENT 404, EINVAL 400,
// anything else 409. Names are unit keys, display names, instances' base names, GROUP:* or globs
// (docs/config).
#pragma once

#include "supervisor/feeds/follow_question.h"
#include "supervisor/feeds/log_page.h"
#include "supervisor/feeds/stream.h"
#include "supervisor/history/range.h"
#include "supervisor/status/status_cache.h"
#include "units/result.h"
#include "units/snapshot.h"
#include "units/time.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

enum class Verb { Start, Stop, Restart, Reload, Signal, Check, Pause, Resume, Reset };
std::string_view to_string(Verb) noexcept; // start stop restart reload signal check pause …
std::optional<Verb> parse_verb(std::string_view) noexcept;

struct Peer { // who asks: of the unix socket uid and pid, of TCP address and token
    std::int64_t uid = -1;
    std::int64_t pid = -1;
    std::string address; // "127.0.0.1"; empty = the unix socket
    std::string token;   // its name; empty = none
};
// For the audit line: "uid 1000 (pid 4711)", "token deploy (127.0.0.1)".
std::string describe(const Peer&);

struct ActionRequest {
    Verb verb = Verb::Start;
    std::vector<std::string> names;
    int signal = 0;                    // Signal
    std::optional<Duration> pause_for; // Pause; nullopt = until resumed
    std::string check_id;              // Check: one check only
    Peer peer;
};

// One line of progress or result of an action for one unit.
struct ActionUnit {
    std::string key;
    std::string status;  // pending | working | ok | failed
    std::string message; // "running, pid 4711, healthy after 1.2 s"; "pid 812 (nginx) could not be
                         // killed: state D"
};
struct ActionView {
    std::string id;
    bool finished = false;
    bool ok = false;
    std::vector<ActionUnit> units;
};

// {"action_id","finished","ok","units":[…]}
std::string action_json(const ActionView&);

enum class NotFound { UnknownService, UnknownCheck, UnknownAction };

class Control {
  public:
    virtual ~Control() = default;

    // Documents.
    virtual const StatusBytes& status() = 0; // the whole of status.json, see StatusCache
    virtual std::optional<UnitSnapshot> unit(const std::string& name) = 0;
    virtual std::vector<UnitSnapshot> units() = 0; // in the order of the configuration
    virtual SupervisorSnapshot supervisor() = 0;   // generated_at = now
    virtual Result<std::vector<std::string>>
    resolve(const std::vector<std::string>& names) = 0; // to keys
    virtual Result<std::string>
    why_json(const std::string& name) = 0; // {"service","incidents":[{…}],"next":…}
    virtual Result<std::string> explain_json(const std::string& name) = 0; // see docs/api.md
    virtual std::string events_json(std::uint64_t since_sequence,
                                    std::size_t limit) = 0; // {"events":[…],"last":N}
    virtual std::string
    runtime_json() = 0; // {"version","pid","keeper_pid","log_dir","status_file","config":[…],…}

    // Changes. act() validates, begins and gives the action's id; the action goes on by itself.
    virtual Result<std::string> act(const ActionRequest&) = 0;
    virtual std::optional<ActionView> action(const std::string& id) = 0;
    virtual Result<std::string> enable_check(const std::string& name, const std::string& check,
                                             bool enabled,
                                             const Peer&) = 0; // the check's JSON
    virtual Status beat(const std::string& name) = 0; // a heartbeat of every unit of that name
    // {"added":[],"removed":[],"restarted":[],…}; done is called once, from inside or when the
    // files are read.
    virtual void reload_config(bool dry_run, const Peer&,
                               std::function<void(Result<std::string>)> done) = 0;
    virtual Status shutdown(const Peer&, bool leave) = 0; // leave: the daemons go on
    // Begins; how it goes stands in runtime_json(): "upgrade":{"running","error"}. A new
    // supervisor's pid there means that it is done.
    virtual Status upgrade(const Peer&) = 0;

    // The page of GET /metrics; the same bytes within a second.
    virtual std::string metrics_text() = 0;

    // What was. Answered from the history's own thread; done is called once, from inside or later.
    // ENODATA: there is no history here, or it cannot be read now.
    using Answer = std::function<void(Result<std::string>)>;
    virtual void history(const std::string& name, history::Range, Answer done) = 0;
    // Events of `since` and later, oldest first; of that very millisecond those after `sequence`.
    virtual void past_events(WallTime since, std::uint64_t sequence, std::size_t limit,
                             Answer done) = 0; // {"events":[…],"last":N,"more":bool}

    // Logs. `type`: all, errors (of all units) or a unit's name. What is read is read in the pool;
    // done is called once, on the loop, and not after this has ended. EAGAIN: too many read.
    virtual Result<feeds::LogPlaces> log_places(const std::string& type) = 0;
    using LogsRead = std::function<void(Result<feeds::LogPage>)>;
    virtual void read_logs(std::shared_ptr<const feeds::LogPlaces>, feeds::LogQuestion,
                           LogsRead done) = 0;
    // Streams, for a client at that address (empty: on the unix socket). EAGAIN: too many are open.
    virtual Result<std::shared_ptr<feeds::Stream>> follow_logs(feeds::FollowQuestion,
                                                               const std::string& address) = 0;
    virtual Result<std::shared_ptr<feeds::Stream>> follow_events(const std::string& address) = 0;
};

} // namespace keepwell
