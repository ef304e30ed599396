#include "supervisor/cli/help.h"

#include "supervisor/cli/text.h"

#include <algorithm>

namespace keepwell::cli {

namespace {

constexpr int kLeftWidth = 26;
constexpr int kPageWidth = 80;
constexpr const char* kExitCodes =
    "Exit codes: 0 fine, 1 error, 2 usage, 3 degraded, down or unknown,\n"
    "            4 no such unit, 5 keepwell is not running\n";

std::string wrapped(const std::string& text, int indent) { return wrap(text, indent, kPageWidth); }

std::string row(const std::string& left, const std::string& text, int width = kLeftWidth) {
    const std::string start = "  " + pad(left, width - 2);
    if (display_width(left) <= width - 4) return start + wrapped(text, width) + "\n";
    return "  " + left + "\n" + std::string(static_cast<std::size_t>(width), ' ') +
           wrapped(text, width) + "\n";
}

std::string spelling(const OptionInfo& option) {
    std::string out;
    for (const auto& name : option.spellings) out += (out.empty() ? "" : ", ") + name;
    return option.value.empty() ? out : out + " " + option.value;
}

std::string option_rows(const std::vector<OptionInfo>& options) {
    std::string out;
    for (const auto& option : options) out += row(spelling(option), option.text);
    return out;
}

std::string usage_of(const VerbInfo& verb) {
    std::string out = "keepwell " + verb.name;
    for (const auto& option : verb.options) {
        out +=
            " [" + option.spellings.back() + (option.value.empty() ? "" : " " + option.value) + "]";
    }
    for (const auto& argument : verb.arguments) {
        const std::string text = argument.value + (argument.many ? "..." : "");
        out += argument.required ? " " + text : " [" + text + "]";
    }
    return out;
}

} // namespace

const std::vector<Example>& examples() {
    static const std::vector<Example> all = {
        {"run", "run -c keepwell.toml", "keep the units of this file, in the foreground"},
        {"validate", "validate -c keepwell.toml", "every mistake in it, nothing is started"},
        {"validate", "validate --last-good", "what a restart would fall back to"},
        {"simulate", "simulate -c keepwell.toml failover.scenario",
         "what would happen, and when; nothing is started"},
        {"import", "import supervisord /etc/supervisor/supervisord.conf",
         "as TOML on stdout; what it cannot say on stderr"},
        {"import", "import monit /etc/monit/monitrc -o keepwell.toml", "into a new file"},
        {"token", "token add deploy --scope read,control", "printed once, kept as a hash"},
        {"token", "token revoke deploy", "its logins end, too"},
        {"shutdown", "shutdown", "stop everything and wait until it is gone"},
        {"shutdown", "shutdown --leave", "end keepwell alone; the next run takes the daemons over"},
        {"upgrade", "upgrade", "after a new version was installed"},
        {"completion", "completion bash", "a script for: source <(keepwell completion bash)"},
        {"status", "status", "the table, problems first"},
        {"status", "status web worker", "some of it"},
        {"status", "status web", "all about one unit"},
        {"status", "status --json", "for scripts; see docs/status.md"},
        {"status", "status --once -c keepwell.toml", "check now, without a supervisor"},
        {"show", "show web", "checks, restarts, last exit, what comes next"},
        {"health", "health || echo broken", "0 = all well, 3 = something is not"},
        {"checks", "checks web", "the checks of one unit"},
        {"logs", "logs -f web", "follow, also over rotation"},
        {"logs", "logs -n 100 web worker", "the last lines of two units"},
        {"logs", "logs --since 10m --level error web", "what went wrong lately"},
        {"logs", "logs --stderr --time web", "its stderr alone, with times"},
        {"why", "why web", "what was seen, decided and done"},
        {"why", "why web -n 1", "only the last incident"},
        {"explain", "explain web", "delays, budget and cooldown before they happen"},
        {"events", "events --since 10m", "of the last ten minutes"},
        {"events", "events -f", "everything as it happens"},
        {"history", "history web", "the last day as a bar and a table"},
        {"history", "history web --range 90d", "a bar of the last 90 days"},
        {"top", "top", "everything, problems first; ? shows the keys"},
        {"top", "top \"worker@*\" --sort mem", "some units, the largest first"},
        {"graph", "graph", "what needs what, and who holds whom back"},
        {"graph", "graph web", "what one unit needs"},
        {"graph", "graph --dot | dot -Tsvg > graph.svg", "a picture, by Graphviz"},
        {"start", "start web", "and what it requires"},
        {"stop", "stop \"worker@*\"", "a glob (quote it)"},
        {"restart", "restart web", "stop, start, wait until it is ready"},
        {"restart", "restart \"site:*\"", "a group"},
        {"restart", "restart \"worker@*\" --rolling 2", "two at a time, healthy before the next"},
        {"reload", "reload", "apply the changed configuration"},
        {"reload", "reload --dry-run", "say what that would do, and why"},
        {"reload", "reload web", "run the reload_command of one unit"},
        {"signal", "signal HUP web", "to the main process"},
        {"check", "check web", "run its checks now; exit 3 when one fails"},
        {"check", "check web/http", "one check"},
        {"check", "check --disable web/http", "until enabled again"},
        {"beat", "beat backup", "from the script itself, when it is done"},
        {"pause", "pause web --for 30m", "watch, but do not act, for half an hour"},
        {"resume", "resume web", "act again"},
        {"reset", "reset web", "as if nothing had failed"},
    };
    return all;
}

std::string short_help() {
    constexpr int kWidth = 32;
    std::string out =
        "keepwell keeps daemons well: it starts, checks, heals and explains them.\n\n";
    for (const auto& [left, text] : std::initializer_list<std::pair<const char*, const char*>>{
             {"keepwell run -c FILE", "look after the units of a configuration"},
             {"keepwell validate -c FILE", "every mistake in it"},
             {"keepwell status", "what runs and how well; problems first"},
             {"keepwell status web", "all about one unit"},
             {"keepwell top", "the table, live"},
             {"keepwell why web", "what was seen, decided and done, and when"},
             {"keepwell logs -f web", "its output as it comes"},
             {"keepwell restart web", "stop, start, wait until it is ready"},
             {"keepwell reload", "apply a changed configuration"},
             {"keepwell help", "every verb"},
             {"keepwell help VERB", "one of them, with examples"}}) {
        out += row(left, text, kWidth);
    }
    return out;
}

std::string whole_help(const CommandTree& tree) {
    std::string out = "keepwell keeps daemons well: it starts, checks, heals and explains them.\n\n"
                      "Usage: keepwell [OPTIONS] VERB ...\n";
    std::string group;
    for (const auto& verb : tree.verbs) {
        if (verb.group != group) out += "\n" + verb.group + "\n";
        group = verb.group;
        std::string names = verb.name;
        for (const auto& alias : verb.aliases) names += ", " + alias;
        out += row(names, verb.text);
    }
    out += "\nOptions of every verb\n" + option_rows(tree.options);
    return out + "\n" + kExitCodes +
           "keepwell help VERB shows one with examples; keepwell(1) has the rest\n";
}

std::string verb_help(const CommandTree& tree, const VerbInfo& verb) {
    std::string out = wrapped("keepwell " + verb.name + ": " + verb.text, 0) + "\n";
    if (!verb.aliases.empty()) {
        out += "Also called";
        for (const auto& alias : verb.aliases) out += " " + alias;
        out += ".\n";
    }
    out += "\nUsage: " + wrapped(usage_of(verb), 7) + "\n";
    if (!verb.arguments.empty()) out += "\n";
    for (const auto& argument : verb.arguments) {
        out += row(argument.value + (argument.many ? "..." : ""), argument.text);
    }
    if (!verb.options.empty()) out += "\nOptions\n" + option_rows(verb.options);
    out += "\nOptions of every verb\n" + option_rows(tree.options);
    int width = 0;
    std::vector<std::pair<std::string, std::string>> shown;
    for (const auto& example : examples()) {
        if (example.verb != verb.name) continue;
        shown.emplace_back("keepwell " + std::string(example.line), example.text);
        width = std::max(width, display_width(shown.back().first));
    }
    if (!shown.empty()) out += "\nExamples\n";
    for (const auto& [line, text] : shown) out += row(line, text, width + 4);
    return out;
}

} // namespace keepwell::cli
