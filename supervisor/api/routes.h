// Routes: the control API of docs/api.md on top of Control.
//
// handle() never blocks and does not throw for bad requests: each gets an answer with the error
// shape. A request's text reaches Control only as a decoded name or a parsed value. Called on the
// loop; may call Control, which may post events, but never handle() again.
#pragma once

#include "supervisor/api/access.h"
#include "supervisor/api/control.h"
#include "supervisor/api/http_types.h"
#include "supervisor/api/static_files.h"
#include "supervisor/api/target.h"
#include "units/ports/clock.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

class Routes {
  public:
    Routes(Control& control, const Clock& clock, Access& access, const StaticFiles& files)
        : control_(control), clock_(clock), access_(access), files_(files) {}
    Reply handle(const Request&);

    struct Found {
        std::string_view pattern;
        Scope scope;
    };
    // The route of a request, as its decoded path says; nullopt: it has none.
    static std::optional<Found> find(const Request&);

    // {"status":"error",…} for what fails before routing.
    static Reply error(int status, std::string_view code, std::string_view message, WallTime now);

  private:
    struct Call { // a request with its target taken apart
        const Request& request;
        const Target& target;
        const std::string& at(std::size_t i) const { return target.segments[i]; }
    };
    using Handler = Reply (Routes::*)(const Call&);
    struct Route {
        std::string_view method, pattern; // "api/why/*": a star is one name
        Scope scope;
        Handler handler;
    };
    static const std::vector<Route>& table();

    Reply get_status(const Call&);
    Reply status_with_logs(const Call&, std::size_t lines);
    Reply get_daemons(const Call&);
    Reply get_daemon(const Call&);
    Reply get_supervisor_health(const Call&);
    Reply get_ready(const Call&);
    Reply get_health(const Call&);
    Reply get_checks(const Call&);
    Reply get_why(const Call&);
    Reply get_explain(const Call&);
    Reply get_events(const Call&);
    Reply get_runtime(const Call&);
    Reply get_action(const Call&);
    Reply get_metrics(const Call&);
    Reply post_service(const Call&);
    Reply post_beat(const Call&);
    Reply post_actions(const Call&);
    Reply post_check(const Call&);
    Reply post_reload(const Call&);
    Reply reloaded(Result<std::string>) const;
    Reply post_shutdown(const Call&);
    Reply post_upgrade(const Call&);
    Reply get_history(const Call&);
    Reply get_past_events(const Call&);
    Reply ask_past(const std::function<void(Control::Answer)>& ask);
    Reply past(const Result<std::string>&) const;

    Reply get_alerts(const Call&);
    Reply post_alert(const Call&);
    Reply get_fleet(const Call&);
    Reply get_fleet_targets(const Call&);
    Reply get_routes(const Call&);
    Reply get_session(const Call&);
    Reply post_login(const Call&);
    Reply post_logout(const Call&);
    Reply get_logs(const Call&);
    Reply get_log_stream(const Call&);
    Reply get_event_stream(const Call&);
    Reply streamed(const Result<std::shared_ptr<feeds::Stream>>&) const;
    using LogAnswer = std::function<Reply(const feeds::LogPlaces&, const feeds::LogPage&)>;
    Reply ask_logs(feeds::LogPlaces, feeds::LogQuestion, LogAnswer);
    Reply logs_read(const feeds::LogPlaces&, const feeds::LogPage&, const std::string& type,
                    bool text) const;

    Reply dispatch(const Call&);
    std::optional<Reply> denied(const Request&, Scope) const;
    Reply too_many(std::int64_t seconds) const;
    Reply begin(const ActionRequest&);
    Reply run_check(const Call&, const std::string& unit);
    Reply health_of_supervisor(bool ready) const;
    Reply fail(int status, std::string_view code, std::string_view message) const;
    Reply unknown_service(const std::string& name) const;
    Reply unknown_check(const std::string& unit, const std::string& check) const;
    Reply failed(const Error&, std::string_view code_404) const;
    Reply document(Result<std::string>) const;
    Reply success(std::string_view data) const;

    Control& control_;
    const Clock& clock_;
    Access& access_;
    const StaticFiles& files_;
};

} // namespace keepwell::api
