#include "supervisor/cli/options.h"

#include "supervisor/cli/completion.h"
#include "supervisor/cli/help.h"
#include "supervisor/cli/select.h"
#include "supervisor/import/import.h"
#include "units/types.h"

#include <CLI/CLI.hpp>

#include <algorithm>

namespace keepwell::cli {

namespace {

constexpr const char* kRunning = "Run it";
constexpr const char* kLook = "Look";
constexpr const char* kAct = "Act";
constexpr const char* kTarget =
    "unit, display name, GROUP:*, glob (quote it) or all; worker = all its instances";

OptionInfo info_of(const CLI::Option& option) {
    OptionInfo info;
    for (const auto& name : option.get_snames()) info.spellings.push_back("-" + name);
    for (const auto& name : option.get_lnames()) info.spellings.push_back("--" + name);
    info.text = option.get_description();
    if (option.get_items_expected_max() > 0) info.value = option.get_type_name();
    return info;
}

VerbInfo info_of(const CLI::App& verb) {
    VerbInfo info;
    info.name = verb.get_name();
    info.text = verb.get_description();
    info.group = verb.get_group();
    info.aliases = verb.get_aliases();
    for (const CLI::Option* option : verb.get_options()) {
        if (option == verb.get_help_ptr()) continue;
        if (option->nonpositional()) {
            info.options.push_back(info_of(*option));
        } else {
            info.arguments.push_back({option->get_description(), option->get_type_name(),
                                      option->get_required(), option->get_expected_max() > 1});
        }
    }
    return info;
}

// Builds the parser; the options write straight into the Options that is being filled.
class Builder {
  public:
    explicit Builder(Options& options) : o_(options) {
        app_.require_subcommand(0, 1);
        app_.fallthrough();
        app_.set_help_flag("-h,--help", "print help");
        app_.set_version_flag("--version", std::string("keepwell ") + KEEPWELL_VERSION,
                              "print the version");
        app_.add_option("--socket", o_.socket,
                        "control socket (else KEEPWELL_SOCKET, the configuration, the default)")
            ->type_name("PATH");
        app_.add_option("-c,--config", o_.config, "configuration file; repeatable, later ones win")
            ->type_name("FILE")
            ->allow_extra_args(false);
        running();
        look();
        act();
        auto* help = add("help", "every verb, or one of them with examples", kRunning);
        help->add_option("verb", help_verb_, "the verb")->type_name("VERB");
    }

    CLI::App& app() { return app_; }
    const std::string& help_verb() const { return help_verb_; }
    std::optional<Command> chosen() const {
        for (const auto& [sub, command] : commands_) {
            if (sub->parsed()) return command;
        }
        return std::nullopt;
    }
    bool help_chosen() const { return app_.got_subcommand("help"); }
    CommandTree tree() const {
        CommandTree tree;
        for (const CLI::Option* option : app_.get_options())
            tree.options.push_back(info_of(*option));
        for (const auto* sub : app_.get_subcommands([](const CLI::App*) { return true; })) {
            if (!sub->get_group().empty()) tree.verbs.push_back(info_of(*sub));
        }
        const auto place = [](const VerbInfo& v) {
            return v.group == kRunning ? 0 : v.group == kLook ? 1 : 2;
        };
        std::stable_sort(tree.verbs.begin(), tree.verbs.end(),
                         [&](const auto& a, const auto& b) { return place(a) < place(b); });
        return tree;
    }

  private:
    CLI::App* add(const std::string& name, const std::string& text, const char* group) {
        auto* sub = app_.add_subcommand(name, text);
        sub->group(group);
        return sub;
    }
    CLI::App* add(const std::string& name, Command command, const std::string& text,
                  const char* group) {
        auto* sub = add(name, text, group);
        commands_.emplace_back(sub, command);
        return sub;
    }
    CLI::Option* names(CLI::App* sub, bool required, const char* text = kTarget) {
        return sub->add_option("name", o_.names, text)->type_name("NAME")->required(required);
    }
    void json(CLI::App* sub) { sub->add_flag("--json", o_.json, "print JSON"); }
    void count(CLI::App* sub, const char* text) {
        sub->add_option("-n,--lines", o_.count, text)
            ->check(CLI::Range(0, 1'000'000).description(""))
            ->type_name("N");
    }
    void no_wait(CLI::App* sub) {
        sub->add_flag("--no-wait", o_.no_wait, "do not wait for the result");
    }

    void running() {
        auto* run = add("run", Command::Run,
                        "keep the daemons of the configuration, in the foreground", kRunning);
        auto* supervise = add("supervise", Command::Supervise, "started by the keeper", "");
        for (auto* sub : {run, supervise}) {
            sub->add_flag("--dry-run", o_.dry_run, "decide and record, but act on nothing");
            sub->add_option("--status-file", o_.status_file, "where status.json is written")
                ->type_name("FILE");
        }
        supervise->add_option("--keeper-fd", o_.keeper_fd, "the keeper's socket")
            ->required()
            ->check(CLI::NonNegativeNumber);
        supervise->add_option("--state-dir", o_.state_dir, "of the run that began it");
        supervise->add_flag("--safe", o_.safe, "without state and history");
        auto* validate = add("validate", Command::Validate,
                             "check a configuration and say every mistake in it", kRunning);
        validate->add_flag("--last-good", o_.last_good,
                           "look at the last configuration that was accepted");
        auto* simulate = add("simulate", Command::Simulate,
                             "play failures against a configuration in virtual time", kRunning);
        simulate->add_option("scenario", o_.scenario, "file of steps like: 10s fail web/http")
            ->type_name("SCENARIO")
            ->required();
        json(simulate);
        importing();
        tokens();
        auto* down =
            add("shutdown", Command::Shutdown, "stop every unit, then keepwell itself", kRunning);
        down->add_flag("--leave", o_.leave, "let the units run on; the next run takes them over");
        auto* upgrade = add(
            "upgrade", Command::Upgrade,
            "put the installed program in the place of the running one; no unit notices", kRunning);
        for (auto* sub : {down, upgrade}) no_wait(sub);
        json(add("version", Command::Version, "print the version", kRunning));
        auto* completion =
            add("completion", Command::Completion, "print a completion script", kRunning);
        completion->add_option("shell", o_.shell, "bash, zsh or fish")
            ->type_name("SHELL")
            ->required()
            ->check(CLI::IsMember(completion_shells()).description(""));
    }

    void importing() {
        auto* import =
            add("import", Command::Import,
                "write the configuration of another supervisor as one for keepwell", kRunning);
        import->add_option("format", o_.format, "monitor, supervisord, monit or procfile")
            ->type_name("FORMAT")
            ->required()
            ->check(CLI::IsMember(importer::format_names()).description(""));
        import->add_option("file", o_.source, "monitor.yml, supervisord.conf, monitrc or Procfile")
            ->type_name("FILE")
            ->required();
        import
            ->add_option("-o,--output", o_.output,
                         "write this file, which must not be there yet, instead of stdout")
            ->type_name("FILE");
    }

    void tokens() {
        auto* token =
            add("token", Command::Token, "the tokens that the API takes over TCP", kRunning);
        token->add_option("action", o_.token_action, "add, list or revoke")
            ->type_name("ACTION")
            ->required()
            ->check(CLI::IsMember({"add", "list", "revoke"}).description(""));
        token->add_option("name", o_.names, "what the token is called")->type_name("TOKEN");
        token
            ->add_option("--scope", o_.scope,
                         "what it allows: read, logs, metrics, control, heartbeat (default read)")
            ->type_name("SCOPES");
        json(token);
    }

    void look() {
        auto* status = add("status", Command::Status,
                           "what runs and how well; with one name, all about it", kLook);
        for (const char* alias : {"list", "ls", "summary"}) status->alias(alias);
        auto* show = add("show", Command::Show, "all about one unit", kLook);
        status->add_flag("--once", o_.once,
                         "run every check of the configuration once; needs no supervisor");
        names(status, false);
        names(show, true);
        auto* health =
            add("health", Command::Health, "one line and an exit code for scripts", kLook);
        auto* checks = add("checks", Command::Checks, "every check with its counters", kLook);
        names(checks, false);
        for (auto* sub : {status, checks}) {
            sub->add_flag("!--no-header", o_.heading, "print neither headings nor counts");
        }
        auto* logs = add("logs", Command::Logs, "what units wrote", kLook);
        names(logs, false);
        auto* why = add("why", Command::Why, "what was seen, decided and done, and when", kLook);
        names(why, true);
        count(why, "how many incidents (default 3)");
        auto* explain =
            add("explain", Command::Explain, "the policy of a unit as a schedule", kLook);
        names(explain, true);
        auto* events = add("events", Command::Events, "what happened lately", kLook);
        for (auto* sub : {logs, events}) {
            sub->add_flag("-f,--follow", o_.follow, "go on with what comes");
            sub->add_option("--since", o_.since, "10m, 12:30, \"2026-11-22 12:30\", RFC 3339")
                ->type_name("TIME");
            count(sub, sub == logs ? "the last N lines of each unit (default 20; with --since: all)"
                                   : "how many (default 50)");
        }
        log_filters(logs);
        auto* history = add("history", Command::History,
                            "how it was: uptime, latency, CPU and memory over time", kLook);
        names(history, true);
        history->add_option("--range", o_.range, "1h, 24h (default), 7d or 90d")
            ->type_name("RANGE")
            ->check(CLI::IsMember({"1h", "24h", "7d", "90d"}).description(""));
        json(history);
        auto* top = add("top", Command::Top, "the table, live, with keys", kLook);
        names(top, false);
        top->add_option("--sort", o_.sort, "by state, name, cpu, mem or restarts")
            ->type_name("KEY")
            ->check(CLI::IsMember({"state", "name", "cpu", "mem", "restarts"}).description(""));
        auto* graph =
            add("graph", Command::Graph, "what needs what, and who holds whom back", kLook);
        names(graph, false);
        for (auto* sub : {status, show, health, checks, logs, why, explain, events, graph})
            json(sub);
        graph->add_flag("--dot", o_.dot, "print a graph for Graphviz")->excludes("--json");
    }

    void log_filters(CLI::App* logs) {
        logs->add_option("--level", o_.level, "error, warn, info or debug: that and worse")
            ->type_name("LEVEL");
        auto* errors = logs->add_flag("--stderr", o_.only_stderr, "only stderr");
        logs->add_flag("--stdout", o_.only_stdout, "only stdout")->excludes(errors);
        logs->add_flag("--time", o_.time, "show when each line was written");
    }

    void act() {
        auto* start =
            add("start", Command::Start, "start units and wait until they are ready", kAct);
        auto* stop = add("stop", Command::Stop,
                         "stop units and wait until all their processes are gone", kAct);
        auto* restart = add("restart", Command::Restart,
                            "stop and start units, all at once or some at a time", kAct);
        restart
            ->add_option("--rolling", o_.rolling,
                         "so many at a time; each must be healthy before the next begins, and the "
                         "first failure ends it")
            ->check(CLI::Range(1, 100'000).description(""))
            ->type_name("N");
        restart
            ->add_option("--timeout", o_.patience,
                         "how long one may take to be healthy (default 2m)")
            ->type_name("DURATION");
        auto* reload =
            add("reload", Command::Reload,
                "apply the changed configuration; with NAME: run its reload_command", kAct);
        reload->add_flag("--dry-run", o_.dry_run, "only say what a changed configuration would do");
        reload->add_flag("--json", o_.json, "print JSON");
        auto* signal = add("signal", Command::Signal, "send a signal to the main process", kAct);
        signal->add_option("signal", o_.signal, "HUP, SIGHUP or 1")
            ->type_name("SIGNAL")
            ->required();
        auto* check = add("check", Command::Check, "run checks now, or switch one on or off", kAct);
        names(check, false, "NAME or NAME/ID; none = every check")->type_name("NAME[/ID]");
        auto* on =
            check->add_option("--enable", o_.enable, "switch a check on")->type_name("NAME/ID");
        check->add_option("--disable", o_.disable, "switch a check off")
            ->type_name("NAME/ID")
            ->excludes(on);
        auto* pause = add("pause", Command::Pause, "go on checking, but do not act", kAct);
        pause->alias("unmonitor");
        pause->add_option("--for", o_.pause_for, "how long (default: until resumed)")
            ->type_name("DURATION");
        auto* resume = add("resume", Command::Resume, "act again", kAct);
        resume->alias("monitor");
        auto* reset =
            add("reset", Command::Reset, "forget failures, backoff and spent budget", kAct);
        auto* beat =
            add("beat", Command::Beat, "the heartbeat of a unit that has a heartbeat check", kAct);
        for (auto* sub : {start, stop, restart, signal, pause, resume, reset, beat})
            names(sub, true);
        names(reload, false);
        for (auto* sub : {start, stop, restart, reload, signal, check, pause, resume, reset}) {
            no_wait(sub);
        }
    }

    Options& o_;
    CLI::App app_{"keepwell keeps daemons well: starts, checks, heals and explains them.",
                  "keepwell"};
    std::vector<std::pair<CLI::App*, Command>> commands_;
    std::string help_verb_;
};

ParsedOptions usage(const std::string& what) {
    return {std::nullopt, "keepwell: " + what + "\n", 2};
}

ParsedOptions unknown_verb(const CommandTree& tree, const std::string& verb) {
    std::vector<std::string> known;
    for (const auto& v : tree.verbs) {
        known.push_back(v.name);
        known.insert(known.end(), v.aliases.begin(), v.aliases.end());
    }
    const auto guess = did_you_mean(verb, known);
    return usage("unknown verb " + in_quotes(verb) +
                 (guess.empty() ? " (see keepwell help)" : " (did you mean " + guess + "?)"));
}

ParsedOptions help_for(const CommandTree& tree, const std::string& verb) {
    if (verb.empty()) return {std::nullopt, whole_help(tree), 0};
    for (const auto& v : tree.verbs) {
        if (v.is(verb)) return {std::nullopt, verb_help(tree, v), 0};
    }
    return unknown_verb(tree, verb);
}

// "unknown option --folow (did you mean --follow?)"
std::string unknown_option(const CommandTree& tree, const std::string& verb,
                           const std::string& typed) {
    std::vector<std::string> known;
    const auto add = [&](const std::vector<OptionInfo>& options) {
        for (const auto& option : options)
            known.insert(known.end(), option.spellings.begin(), option.spellings.end());
    };
    add(tree.options);
    for (const auto& v : tree.verbs) {
        if (v.name == verb) add(v.options);
    }
    const std::string word = typed.substr(0, typed.find('='));
    const auto guess = did_you_mean(word, known);
    const std::string help = "see keepwell help" + (verb.empty() ? "" : " " + verb);
    return "unknown option " + in_quotes(word) + " (" +
           (guess.empty() ? help : "did you mean " + guess + "? " + help) + ")";
}

std::string token_mistake(const Options& o) {
    const bool list = o.token_action == "list";
    if (list && !o.names.empty()) return "token list takes no name";
    if (!list && o.names.size() != 1) return "token " + o.token_action + " takes one name";
    if (o.token_action != "add" && !o.scope.empty()) return "--scope goes with token add";
    return {};
}

// What the parser of options cannot know.
std::string mistake(const Options& o) {
    if (o.command == Command::Signal && !parse_signal(o.signal)) {
        return in_quotes(o.signal) + " is not a signal (like HUP or USR1)";
    }
    for (const auto& text : {o.pause_for, o.patience}) {
        if (!text.empty() && !duration_ms(text))
            return in_quotes(text) + " is not a duration (like 30m)";
    }
    if (o.rolling && o.no_wait) return "--rolling waits for each unit; leave --no-wait out";
    if (!o.patience.empty() && !o.rolling) return "--timeout goes with --rolling";
    for (const auto& target : {o.enable, o.disable}) {
        if (!target.empty() && target.find('/') == std::string::npos) {
            return "cannot switch " + in_quotes(target) + ": name the check as NAME/ID";
        }
    }
    const bool switches = !o.enable.empty() || !o.disable.empty();
    if (switches && !o.names.empty()) return "--enable and --disable take no further names";
    if (o.command == Command::Reload && o.dry_run && !o.names.empty()) {
        return "--dry-run goes with a reload of the configuration, not of a unit";
    }
    if (o.command == Command::Token) return token_mistake(o);
    return {};
}

std::string one_line(std::string text) {
    for (char& c : text) {
        if (c == '\n') c = ' ';
    }
    while (text.ends_with(' ')) text.pop_back();
    return text;
}

ParsedOptions from_error(Builder& builder, const CLI::ParseError& e) {
    const auto chosen = builder.app().get_subcommands();
    const std::string verb = chosen.empty() ? "" : chosen.front()->get_name();
    if (dynamic_cast<const CLI::CallForVersion*>(&e) != nullptr) {
        return {std::nullopt, std::string("keepwell ") + KEEPWELL_VERSION + "\n", 0};
    }
    const CommandTree tree = builder.tree();
    if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return help_for(tree, verb);
    const auto extras = builder.app().remaining(true);
    if (!extras.empty() && extras.front().starts_with('-')) {
        return usage(unknown_option(tree, verb, extras.front()));
    }
    if (chosen.empty() && !extras.empty()) return unknown_verb(tree, extras.front());
    return usage(one_line(e.what()) + " (see keepwell help" + (verb.empty() ? "" : " ") + verb +
                 ")");
}

} // namespace

ParsedOptions parse_options(int argc, const char* const* argv) {
    Options options;
    Builder builder(options);
    try {
        builder.app().parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return from_error(builder, e);
    } catch (const std::exception& e) {
        return usage(one_line(e.what()));
    }
    if (builder.help_chosen()) return help_for(builder.tree(), builder.help_verb());
    const auto chosen = builder.chosen();
    if (!chosen) return {std::nullopt, short_help(), 2};
    options.command = *chosen;
    if (const std::string what = mistake(options); !what.empty()) return usage(what);
    return {options, {}, 0};
}

bool VerbInfo::is(const std::string& word) const {
    return name == word || std::find(aliases.begin(), aliases.end(), word) != aliases.end();
}

CommandTree command_tree() {
    Options ignored;
    return Builder(ignored).tree();
}

} // namespace keepwell::cli
