#include "supervisor/cli/completion.h"
#include "supervisor/cli/verbs.h"

namespace keepwell::cli {

namespace {

int dispatch(Context& context) {
    const Options& options = context.options();
    switch (options.command) {
    case Command::Run: return verb_run(context);
    case Command::Supervise: return verb_supervise(context);
    case Command::Status:
    case Command::Show: return verb_status(context);
    case Command::Health: return verb_health(context);
    case Command::Checks: return verb_checks(context);
    case Command::Logs: return verb_logs(context);
    case Command::Why: return verb_why(context);
    case Command::Explain: return verb_explain(context);
    case Command::Events: return verb_events(context);
    case Command::History: return verb_history(context);
    case Command::Validate: return verb_validate(context);
    case Command::Shutdown: return verb_shutdown(context);
    case Command::Upgrade: return verb_upgrade(context);
    case Command::Version:
        if (options.json)
            context.out() << "{\"version\":" << json_quote(KEEPWELL_VERSION) << "}\n";
        else
            context.out() << "keepwell " << KEEPWELL_VERSION << "\n";
        return kExitOk;
    case Command::Completion: context.out() << completion_script(options.shell); return kExitOk;
    case Command::Graph: return verb_graph(context);
    case Command::Top: return verb_top(context);
    case Command::Simulate: return verb_simulate(context);
    case Command::Token: return verb_token(context);
    case Command::Import: return verb_import(context);
    case Command::Reload:
        return options.names.empty() ? verb_reload_config(context) : verb_action(context);
    case Command::Check:
        return options.enable.empty() && options.disable.empty() ? verb_action(context)
                                                                 : verb_switch_check(context);
    case Command::Beat: return verb_beat(context);
    case Command::Restart:
        return options.rolling ? verb_rolling_restart(context) : verb_action(context);
    case Command::Start:
    case Command::Stop:
    case Command::Signal:
    case Command::Pause:
    case Command::Resume:
    case Command::Reset: return verb_action(context);
    }
    return kExitUsage;
}

} // namespace

int run_cli(int argc, const char* const* argv, Io& io) {
    try {
        if (argc > 1 && std::string_view(argv[1]) == "__complete")
            return complete_words({argv + 2, argv + argc}, io);
        const ParsedOptions parsed = parse_options(argc, argv);
        if (!parsed.options) {
            (parsed.code == kExitOk ? io.out : io.err) << parsed.text << std::flush;
            return parsed.code;
        }
        Context context(*parsed.options, io);
        const int code = dispatch(context);
        io.out.flush();
        if (!io.out) return context.fail("cannot write the output");
        return code;
    } catch (const std::exception& e) {
        io.err << "keepwell: internal error: " << safe_text(e.what()) << std::endl;
        return kExitError;
    }
}

} // namespace keepwell::cli
