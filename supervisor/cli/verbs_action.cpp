#include "supervisor/cli/progress.h"
#include "supervisor/cli/render.h"
#include "supervisor/cli/verbs.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <optional>

namespace keepwell::cli {

namespace {

constexpr int kFirstPollMs = 50;
constexpr int kLastPollMs = 250;
constexpr int kPatienceMs = 5'000; // the keeper replaces a dead supervisor sooner than this

volatile std::sig_atomic_t g_interrupts = 0;
void on_interrupt(int) { g_interrupts = g_interrupts + 1; }

const char* verb_name(Command command) {
    switch (command) {
    case Command::Start: return "start";
    case Command::Stop: return "stop";
    case Command::Restart: return "restart";
    case Command::Reload: return "reload";
    case Command::Signal: return "signal";
    case Command::Check: return "check";
    case Command::Pause: return "pause";
    case Command::Resume: return "resume";
    case Command::Reset: return "reset";
    case Command::Beat:
    case Command::Run:
    case Command::Supervise:
    case Command::Status:
    case Command::Show:
    case Command::Health:
    case Command::Checks:
    case Command::Logs:
    case Command::Why:
    case Command::Explain:
    case Command::History:
    case Command::Events:
    case Command::Validate:
    case Command::Shutdown:
    case Command::Upgrade:
    case Command::Version:
    case Command::Graph:
    case Command::Top:
    case Command::Completion:
    case Command::Simulate:
    case Command::Import:
    case Command::Token: break;
    }
    return "";
}

struct Target {
    std::vector<std::string> names;
    std::string check; // one check only
};

// NAME/ID stands for one check of one unit, unless a unit is called that.
Target target_of(const Options& options) {
    Target target{options.names, {}};
    if (options.command != Command::Check) return target;
    if (target.names.empty()) target.names = {"all"};
    const std::size_t slash =
        target.names.size() == 1 ? target.names[0].rfind('/') : std::string::npos;
    if (slash != std::string::npos) {
        target.check = target.names[0].substr(slash + 1);
        target.names[0].resize(slash);
    }
    return target;
}

std::string request_body(const Options& options, const Target& target) {
    std::string body = "{\"verb\":" + json_quote(verb_name(options.command)) +
                       ",\"names\":" + json_quote(target.names);
    if (!options.signal.empty()) body += ",\"signal\":" + json_quote(options.signal);
    if (!options.pause_for.empty()) body += ",\"for\":" + json_quote(options.pause_for);
    if (!target.check.empty()) body += ",\"check\":" + json_quote(target.check);
    return body + "}";
}

int result_code(Context& context, const Json& action) {
    if (action["ok"].boolean()) return kExitOk;
    return context.options().command == Command::Check ? kExitNotWell : kExitError;
}

int follow_action(Context& context, const std::string& id) {
    const InterruptGuard guard;
    Progress progress(context.out(), context.style());
    const std::string path = "/api/actions/" + url_part(id);
    int wait = kFirstPollMs;
    int silent = 0;
    for (;;) {
        auto answer = context.client().get(path);
        if (answer && answer->status == 200) {
            silent = 0;
            const auto action = Json::parse(answer->body);
            if (!action) return context.fail(safe_text(action.error().message));
            progress.show(*action);
            if ((*action)["finished"].boolean()) return result_code(context, *action);
        } else if (answer) {
            return context.fail("cannot say how it ended: the supervisor was replaced meanwhile; "
                                "see keepwell status");
        } else if (silent >= kPatienceMs) {
            return context.unreachable(answer.error());
        }
        if (!answer) silent += wait;
        sleep_ms(wait);
        if (InterruptGuard::interrupted()) {
            context.note("no longer waiting; the action goes on (keepwell status shows how)");
            return kExitInterrupted;
        }
        wait = std::min(wait * 3 / 2, kLastPollMs);
    }
}

// NAME/ID as the path of a check.
std::optional<std::string> check_path(const std::string& target) {
    const std::size_t slash = target.rfind('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == target.size()) return std::nullopt;
    return "/api/checks/" + url_part(target.substr(0, slash)) + "/" +
           url_part(target.substr(slash + 1));
}

} // namespace

InterruptGuard::InterruptGuard() {
    g_interrupts = 0;
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
}
InterruptGuard::~InterruptGuard() { (void)std::signal(SIGINT, SIG_DFL); }
int InterruptGuard::count() { return g_interrupts; }

void sleep_ms(int milliseconds) {
    const timespec wait{milliseconds / 1000, (milliseconds % 1000) * 1'000'000L};
    (void)nanosleep(&wait, nullptr);
}

int verb_action(Context& context) {
    const Target target = target_of(context.options());
    auto answer = context.client().post("/api/actions", request_body(context.options(), target));
    if (!answer) return context.unreachable(answer.error());
    if (answer->status != 202) return context.refused(*answer, target.names);
    const auto accepted = Json::parse(answer->body);
    const std::string id = accepted ? (*accepted)["action_id"].text() : "";
    if (id.empty()) return context.fail("the supervisor gave no id for the action");
    if (context.options().no_wait) {
        context.out() << "begun\n";
        return kExitOk;
    }
    return follow_action(context, id);
}

int verb_switch_check(Context& context) {
    const bool on = !context.options().enable.empty();
    const std::string target = on ? context.options().enable : context.options().disable;
    const auto path = check_path(target);
    if (!path)
        return context.fail("cannot switch " + in_quotes(target) + ": name the check as NAME/ID",
                            kExitUsage);
    auto answer = context.client().post(*path + (on ? "/enable" : "/disable"), "{}");
    if (!answer) return context.unreachable(answer.error());
    if (answer->status / 100 != 2) {
        return context.refused(*answer, {target.substr(0, target.rfind('/'))});
    }
    context.out() << safe_text(target) << (on ? " is on\n" : " is off\n");
    return kExitOk;
}

int verb_reload_config(Context& context) {
    const bool dry = context.options().dry_run;
    auto answer = context.client().post("/api/config/reload",
                                        dry ? "{\"dry_run\":true}" : "{\"dry_run\":false}");
    if (!answer) return context.unreachable(answer.error());
    const auto parsed = Json::parse(answer->body);
    const Json body = parsed ? *parsed : Json{};
    const auto errors = body["errors"].items();
    if (answer->status == 400 && !errors.empty()) {
        for (const auto& error : errors) context.err() << safe_text(error.text()) << "\n";
        return context.fail(plural(errors.size(), "error") +
                            "; the running configuration is untouched");
    }
    if (answer->status != 200) return context.refused(*answer);
    if (context.options().json)
        context.out() << body.dump(context.style().terminal ? 2 : -1) << "\n";
    else
        context.out() << render_reload(body, dry, context.style());
    return kExitOk;
}

// Silent when all is well: it stands in scripts and loops.
int verb_beat(Context& context) {
    for (const auto& name : context.options().names) {
        auto answer = context.client().post("/api/services/" + url_part(name) + "/beat", "{}");
        if (!answer) return context.unreachable(answer.error());
        if (answer->status != 200) return context.refused(*answer, {name});
    }
    return kExitOk;
}

} // namespace keepwell::cli
