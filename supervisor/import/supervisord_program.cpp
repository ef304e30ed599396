#include "supervisor/import/supervisord_program.h"

#include "supervisor/config/values.h"
#include "units/types.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::uint64_t kLeastLog = 4096;
constexpr std::uint64_t kMostKept = 100'000;
constexpr std::uint64_t kMostRetries = 10'000'000;
constexpr std::uint64_t kLongestStop = 100'000'000;

struct Reason {
    std::string_view option, why;
};
constexpr Reason kReasons[] = {
    {"serverurl", "keepwell has no XML-RPC; programs use its control socket"},
    {"stdout_events_enabled", "keepwell has no events on output"},
    {"stderr_events_enabled", "keepwell has no events on output"},
    {"stdout_capture_maxbytes", "keepwell has no capture mode"},
    {"stderr_capture_maxbytes", "keepwell has no capture mode"},
    {"stdout_syslog", "keepwell writes files of its own (keepwell logs)"},
    {"stderr_syslog", "keepwell writes files of its own (keepwell logs)"},
};

std::string why_not(std::string_view option) {
    const auto* known = std::ranges::find(kReasons, option, &Reason::option);
    return std::string(known == std::end(kReasons) ? "keepwell has no such option" : known->why);
}

bool is_nowhere(const std::string& file) {
    const std::string small = lower(file);
    return small == "none" || small == "off" || small == "/dev/null";
}

class ProgramReader {
  public:
    ProgramReader(IniSection program, const ProgramContext& context)
        : program_(std::move(program)), context_(context) {}

    std::optional<TomlTable> read() {
        if (!command()) return std::nullopt;
        if (!context_.display.empty()) unit_.set("name", toml::text(context_.display));
        if (!context_.group.empty()) unit_.set("group", toml::text(context_.group));
        directory();
        process();
        environment();
        restart();
        stop();
        log();
        leftovers();
        return unit_;
    }

  private:
    struct Taken {
        std::string value; // expanded
        Place place;
    };

    std::string label(const std::string& option) const {
        return option + " of " + (program_.name().empty() ? "the program" : program_.name());
    }
    std::optional<Taken> take(const std::string& option) {
        const auto found = program_.take(option);
        if (!found) return std::nullopt;
        return Taken{
            context_.expressions.expand(found->value, found->place, label(option), context_.notes),
            found->place};
    }
    void cannot(const Taken& taken, const std::string& option, const std::string& why) {
        context_.notes.cannot(taken.place, label(option), why);
    }
    std::optional<std::uint64_t> number(const std::string& option, std::uint64_t most) {
        const auto taken = take(option);
        if (!taken) return std::nullopt;
        const auto value = whole_number(taken->value);
        if (value && *value <= most) return value;
        cannot(*taken, option, shortened(taken->value) + " is no number that fits here");
        return std::nullopt;
    }
    std::optional<bool> boolean(const std::string& option) {
        const auto taken = take(option);
        if (!taken) return std::nullopt;
        const auto value = truth(taken->value);
        if (!value) cannot(*taken, option, shortened(taken->value) + " is neither true nor false");
        return value;
    }

    bool command() {
        const auto taken = take("command");
        if (!taken) {
            context_.notes.cannot(program_.place(), "[" + program_.title() + "]",
                                  "it has no command");
            return false;
        }
        const auto words = split_words(taken->value);
        if (!words || words->empty() || (*words)[0].empty() || !fits(*words)) {
            cannot(*taken, "command",
                   !words          ? words.error().message
                   : !fits(*words) ? "it is longer than a program may be given"
                                   : "it names no program");
            return false;
        }
        unit_.set("command", toml::expandings(*words));
        program_in_folder_ =
            (*words)[0].find('/') != std::string::npos && (*words)[0].find_first_of("/$") != 0;
        return true;
    }

    void directory() {
        const auto taken = take("directory");
        std::string folder = taken ? taken->value : context_.shared.directory;
        const bool relative =
            !folder.empty() && !folder.starts_with('/') && !folder.starts_with("${");
        if (relative || (folder.empty() && program_in_folder_)) {
            const Place place = taken ? taken->place : program_.place();
            folder = below(escape_dollars(context_.shared.folder), folder.empty() ? "." : folder);
            if (folder.ends_with("/.")) folder.resize(folder.size() - 2);
            context_.notes.cannot(place, label("directory"),
                                  "it is relative to wherever supervisord was started; here it is "
                                  "the folder of the configuration (change directory)");
        }
        if (!folder.empty()) unit_.set("directory", toml::expanding(folder));
    }

    void process() {
        const auto user = take("user");
        const std::string name = user ? user->value : context_.shared.user;
        if (!name.empty()) unit_.set("user", toml::expanding(name));
        const auto umask = take("umask");
        const std::string mask = umask ? umask->value : context_.shared.umask;
        if (!mask.empty() && config::parse_umask(mask)) {
            unit_.set("umask", toml::text(mask));
        } else if (umask) {
            cannot(*umask, "umask", shortened(mask) + " is no umask");
        }
        if (const auto start = boolean("autostart"); start && !*start)
            unit_.set("autostart", toml::boolean(false));
    }

    void environment() {
        TomlTable variables;
        std::vector<std::string> sizes;
        const auto put = [&](const Pairs& pairs) {
            for (const auto& [name, value] : pairs) {
                variables.set(toml::key(name), toml::expanding(value));
                sizes.push_back(name + value);
            }
        };
        put(context_.shared.environment);
        const auto taken = take("environment");
        if (taken)
            put(split_pairs(taken->value, taken->place, label("environment"), context_.notes));
        if (!fits(sizes)) {
            context_.notes.cannot(taken ? taken->place : program_.place(), label("environment"),
                                  "it is longer than a program may be given");
            return;
        }
        if (!variables.empty()) unit_.set("environment", variables.inlined());
    }

    void restart() {
        const auto taken = take("autorestart");
        const std::string word = taken ? lower(trimmed(taken->value)) : "unexpected";
        const auto sure = truth(word);
        if (taken && !sure && word != "unexpected")
            cannot(*taken, "autorestart", shortened(word) + " is none of true, false, unexpected");
        unit_.set("restart", toml::text(!sure ? "on-failure" : *sure ? "always" : "never"));
        exit_codes();
        const auto seconds = take("startsecs");
        if (seconds && seconds->value != "1")
            cannot(*seconds, "startsecs",
                   "a program counts as started after one second (see ready for better signs)");
        const auto retries = program_.find("startretries");
        const Place place = retries == nullptr ? Place{} : retries->place;
        const auto count = number("startretries", kMostRetries);
        if (!count) return;
        if (*count > 0) unit_.set("budget", "{ restarts = " + toml::number(*count) + " }");
        context_.notes.cannot(place, label("startretries") + " as it is",
                              "after these tries keepwell goes on slowly instead of giving up "
                              "(budget.then = \"stop\" gives up)");
    }

    void exit_codes() {
        const auto taken = take("exitcodes");
        if (!taken) return;
        std::vector<std::string> codes;
        for (std::string_view rest = taken->value; !rest.empty();) {
            const std::size_t comma = rest.find(',');
            const auto code = whole_number(trimmed(rest.substr(0, comma)));
            if (code && *code <= 255) codes.push_back(toml::number(*code));
            if (!code || *code > 255)
                cannot(*taken, "exitcodes", shortened(rest.substr(0, comma)) + " is no exit code");
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
        if (codes != std::vector<std::string>{"0"})
            unit_.set("success_exit_codes", toml::array(codes));
    }

    void stop() {
        TomlTable keys;
        const auto signal = take("stopsignal");
        if (signal && parse_signal(signal->value)) {
            keys.set("signal", toml::text(signal->value));
        } else if (signal) {
            cannot(*signal, "stopsignal", shortened(signal->value) + " is no signal");
        }
        if (const auto seconds = number("stopwaitsecs", kLongestStop))
            keys.set("timeout", toml::text(std::to_string(*seconds) + "s"));
        if (!keys.empty()) unit_.set("stop", keys.inlined());
        for (const std::string option : {"stopasgroup", "killasgroup"}) {
            const IniOption* at = program_.find(option);
            if (at == nullptr) continue;
            const Place place = at->place;
            // What is left of the whole tree is killed anyway, which is what true asks for.
            if (boolean(option) == false)
                context_.notes.cannot(place, label(option) + " = false",
                                      "keepwell ends the whole tree of a program (stop.kill = "
                                      "\"process\" kills the main process alone)");
        }
    }

    // Files are keepwell's own; what remains is how large, how many, and whether at all.
    void log() {
        const auto file = take("stdout_logfile");
        const auto errors = take("stderr_logfile");
        const auto merged = boolean("redirect_stderr");
        const bool silent = file && is_nowhere(file->value) &&
                            ((merged && *merged) || (errors && is_nowhere(errors->value)));
        TomlTable keys;
        if (silent) keys.set("mode", toml::text("none"));
        path_of_log(file, "stdout_logfile", silent);
        path_of_log(errors, "stderr_logfile", silent || (merged && *merged));
        const bool own_file = errors && !is_nowhere(errors->value);
        if (!silent && !(merged && *merged) && (own_file || (merged && !*merged)))
            keys.set("stderr", toml::text("separate"));
        size_of_log(keys, silent);
        if (!keys.empty()) unit_.set("log", keys.inlined());
    }

    void path_of_log(const std::optional<Taken>& file, const std::string& option, bool silent) {
        if (!file || lower(file->value) == "auto" || (silent && is_nowhere(file->value))) return;
        if (is_nowhere(file->value)) {
            cannot(*file, option + " = " + file->value,
                   "stdout and stderr are captured both or not at all");
        } else {
            cannot(*file, option,
                   "keepwell writes the file itself, log_dir/UNIT.log (see keepwell logs)");
        }
    }

    void size_of_log(TomlTable& keys, bool silent) {
        const auto size = take("stdout_logfile_maxbytes");
        const auto bytes = size ? size_text(size->value) : std::nullopt;
        const auto value = bytes ? config::parse_size(*bytes) : Error{""};
        if (size && !silent && value && *value >= kLeastLog) {
            keys.set("max_size", toml::text(*bytes));
        } else if (size && !silent) {
            cannot(*size, "stdout_logfile_maxbytes",
                   value ? "a file is rotated at 4K at the earliest, and at some size"
                         : shortened(size->value) + " is no size");
        }
        const auto kept = number("stdout_logfile_backups", kMostKept);
        if (kept && !silent) keys.set("keep", toml::number(*kept));
        for (const std::string option : {"stderr_logfile_maxbytes", "stderr_logfile_backups"}) {
            const auto taken = take(option);
            if (taken && !silent)
                cannot(*taken, option, "both files of a unit have one size and number");
        }
    }

    void leftovers() {
        for (const char* elsewhere : {"process_name", "numprocs", "numprocs_start", "priority"})
            static_cast<void>(program_.take(elsewhere));
        for (const IniOption& option : program_.left())
            context_.notes.cannot(option.place, label(option.name), why_not(option.name));
    }

    IniSection program_;
    const ProgramContext& context_;
    TomlTable unit_;
    bool program_in_folder_ = false;
};

} // namespace

std::optional<TomlTable> program_table(IniSection program, const ProgramContext& context) {
    return ProgramReader(std::move(program), context).read();
}

} // namespace keepwell::importer
