// Options: the command line of keepwell as a plain value; the only door to the option parser.
//
// parse_options() never exits and never throws. What is wrong with the command line comes back as
// one line for stderr and exit code 2; help and version texts come back for stdout with exit code
// 0.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::cli {

enum class Command {
    Run,
    Supervise,
    Status,
    Show,
    Health,
    Start,
    Stop,
    Restart,
    Reload,
    Signal,
    Check,
    Checks,
    Logs,
    Why,
    Explain,
    Events,
    Pause,
    Resume,
    Reset,
    Beat,
    Validate,
    Shutdown,
    Upgrade,
    Version,
    Graph,
    Top,
    Completion,
    Simulate,
    Import,
    History,
    Token,
};

struct Options {
    Command command = Command::Status;
    std::vector<std::string> names;
    std::vector<std::string> config;    // -c
    std::string socket;                 // --socket
    std::string status_file;            // --status-file
    std::string signal;                 // "HUP"
    std::string pause_for;              // "30m"; empty = until resumed
    std::string enable, disable;        // NAME/ID
    std::optional<std::size_t> count;   // -n
    std::optional<std::size_t> rolling; // restart --rolling
    std::string patience;               // restart --timeout
    std::string sort = "state";         // top --sort
    std::string shell;                  // completion
    std::string scenario;               // simulate
    std::string format, source, output; // import
    std::string token_action, scope;    // token
    std::string since, level;           // of logs and events
    std::string range = "24h";          // of history
    bool only_stderr = false, only_stdout = false;
    bool time = false;
    bool json = false;
    bool heading = true; // --no-header
    bool no_wait = false;
    bool follow = false;
    bool dry_run = false;
    bool last_good = false;
    bool once = false;     // status --once
    bool dot = false;      // graph --dot
    bool leave = false;    // shutdown: the daemons go on
    bool safe = false;     // supervise
    std::string state_dir; // supervise: where the last good configuration is
    int keeper_fd = -1;
};

struct ParsedOptions {
    std::optional<Options> options;
    std::string text; // when there are no options: for stdout if code is 0, else for stderr
    int code = 0;
};

ParsedOptions parse_options(int argc, const char* const* argv);

// What the parser knows, for help texts and completion. Hidden verbs are left out.
struct OptionInfo {
    std::vector<std::string> spellings; // "-n", "--lines"
    std::string text;
    std::string value; // "N"; empty = a switch
};
struct ArgumentInfo {
    std::string text;
    std::string value; // "NAME"
    bool required = false;
    bool many = false;
};
struct VerbInfo {
    std::string name, text, group;
    std::vector<std::string> aliases;
    std::vector<OptionInfo> options;
    std::vector<ArgumentInfo> arguments;
    bool is(const std::string& word) const; // its name or an alias
};
struct CommandTree {
    std::vector<OptionInfo> options; // before or after every verb
    std::vector<VerbInfo> verbs;
};
CommandTree command_tree();

} // namespace keepwell::cli
