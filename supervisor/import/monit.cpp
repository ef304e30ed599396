// monitrc: the services of the parser become units; monit_checks.cpp writes their tests.
#include "supervisor/import/formats.h"
#include "supervisor/import/monit_checks.h"
#include "supervisor/import/monit_pattern.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::uint64_t kUsualCycle = 30; // what monit's own example says
constexpr std::uint64_t kLongestCycle = 366ULL * 86400;
constexpr std::uint64_t kLongestTimeout = 366ULL * 86400;

class MonitImporter {
  public:
    MonitImporter(std::string path, config::FileSource& source)
        : path_(std::move(path)), source_(source) {}

    Result<Imported> run() {
        auto text = read_source(path_, source_, notes_);
        if (!text) return text.error();
        MonitLexer lexer(path_, std::move(*text), source_, notes_);
        control_ = parse_monit(lexer, notes_);
        cycle_s_ =
            std::clamp<std::uint64_t>(control_.cycle_s.value_or(kUsualCycle), 1, kLongestCycle);
        // Names first: a service may depend on one further down.
        for (const MonitService& service : control_.services) {
            if (!is_unit(service)) continue;
            if (names_.find(service.name) != nullptr)
                notes_.cannot(service.place, service.name + " as it is",
                              "the name is there twice; this one got a number");
            kept_.emplace_back(&service, names_.add(service.name));
        }
        return write();
    }

  private:
    // Says why when it is none.
    bool is_unit(const MonitService& service) {
        const auto no = [&](const std::string& why) {
            notes_.cannot(service.place, "check " + service.type + " " + service.name, why);
            return false;
        };
        if (service.type == "process") {
            if (!service.pidfile.empty()) return true;
            if (service.matching.empty()) return no("it has neither a pidfile nor a pattern");
            if (process_patterns(service.matching).patterns.empty())
                return no("no plain text can be seen in " + shortened(service.matching) +
                          " (write match = [\"part of the command line\"])");
            return true;
        }
        if (service.type == "host") {
            const bool any = std::ranges::any_of(service.rules, [](const MonitRule& rule) {
                return rule.test == MonitTest::Connection && !rule.connection.udp;
            });
            return any || no("nothing of it is left to check");
        }
        if (service.type == "program" || service.type == "file" || service.type == "directory")
            return !service.path.empty() || no("it has no path");
        return no("keepwell does not look at the host itself yet");
    }

    Result<Imported> write() {
        TomlDocument document;
        begin(document, "monit", path_);
        TomlTable check;
        check.set("interval", toml::text(seconds_text(cycle_s_)));
        check.set("retry_interval", toml::text(seconds_text(cycle_s_)));
        check.set("failures", toml::number(1));
        document.comment(control_.cycle_s ? "set daemon: one look each cycle, and one failure is "
                                            "enough unless the check says more."
                                          : "No \"set daemon\" was found; 30 s is what monit's "
                                            "own example says.");
        document.table("defaults.check", check);
        for (const auto& [service, key] : kept_) {
            TomlTable unit;
            fill(*service, key, unit);
            if (service->type == "process" || has_check(unit)) {
                units_.emplace(key, std::move(unit));
            } else {
                notes_.cannot(service->place, "check " + service->type + " " + service->name,
                              "nothing of it is left to check");
            }
        }
        for (const auto& [service, key] : kept_) {
            const auto unit = units_.find(key);
            if (unit == units_.end()) continue;
            depends(*service, unit->second);
            document.table("unit." + toml::key(key), unit->second);
        }
        return finish(document, notes_, units_.size(), path_);
    }

    static bool has_check(const TomlTable& unit) {
        return std::ranges::any_of(
            std::initializer_list<std::string_view>{"file", "exec", "http", "tcp", "unix"},
            [&](std::string_view type) { return unit.has("check." + std::string(type)); });
    }

    void fill(const MonitService& service, const std::string& key, TomlTable& unit) {
        UnitNames::show(unit, key, service.name);
        if (service.type == "process") process(service, unit);
        groups(service, unit);
        if (!service.depends.empty()) unit.set("requires", ""); // its place; filled in at the end
        if (service.passive) unit.set("heal", toml::boolean(false));
        if (service.manual) unit.set("autostart", toml::boolean(false));
        if (service.type != "process") {
            for (const auto& program : {service.start, service.stop, service.restart}) {
                if (program)
                    notes_.cannot(program->place, "a program of " + service.name,
                                  "a unit without a process is only checked");
            }
        }
        existence(service, unit);
        MonitChecks(service, cycle_s_, unit, notes_).add_all();
    }

    // What monit looks for without being told.
    void existence(const MonitService& service, TomlTable& unit) {
        TomlTable keys;
        if (service.type == "file" || service.type == "directory") {
            keys.set("path", toml::text(service.path));
            set_check(unit, "file", keys);
        }
        const bool said = std::ranges::any_of(
            service.rules, [](const MonitRule& rule) { return rule.test == MonitTest::Exit; });
        if (service.type != "program" || said) return;
        const auto words = split_words(service.path);
        if (!words || words->empty() || (*words)[0].empty()) return;
        keys.set("command", toml::texts(*words));
        set_check(unit, "exec", keys);
    }

    void process(const MonitService& service, TomlTable& unit) {
        if (!service.pidfile.empty()) {
            unit.set("pidfile", toml::text(service.pidfile));
        } else {
            const ProcessPatterns found = process_patterns(service.matching);
            unit.set("match", toml::texts(found.patterns));
            if (!found.exact)
                notes_.cannot(service.place,
                              "matching " + shortened(service.matching) + " as it is",
                              "keepwell looks for plain text or a glob; here for " +
                                  shortened(found.patterns.front()));
        }
        program(service, "start_command", service.start, unit);
        program(service, "stop_command", service.stop, unit);
        user(service, unit);
        if (service.start && service.start->timeout_s > 0)
            unit.set("start_timeout", toml::text(timeout(*service.start)));
        if (service.stop && service.stop->timeout_s > 0)
            unit.set("stop", "{ timeout = " + toml::text(timeout(*service.stop)) + " }");
        if (service.restart)
            notes_.cannot(service.restart->place, "restart program of " + service.name,
                          "keepwell stops and starts");
    }

    static std::string timeout(const MonitProgram& program) {
        return seconds_text(std::min(program.timeout_s, kLongestTimeout));
    }

    void program(const MonitService& service, const std::string& key,
                 const std::optional<MonitProgram>& program, TomlTable& unit) {
        if (!program) return;
        const auto words = split_words(program->line);
        if (words && !words->empty() && !(*words)[0].empty() && fits(*words)) {
            unit.set(key, toml::texts(*words));
            return;
        }
        notes_.cannot(program->place, key.substr(0, key.find('_')) + " program of " + service.name,
                      !words          ? words.error().message
                      : !fits(*words) ? "it is longer than a program may be given"
                                      : "it names no program");
    }

    // A unit has one user; monit has one for each program.
    void user(const MonitService& service, TomlTable& unit) {
        const MonitProgram none;
        const MonitProgram& start = service.start ? *service.start : none;
        if (!start.user.empty()) {
            unit.set("user",
                     toml::text(start.user + (start.group.empty() ? "" : ":") + start.group));
        } else if (!start.group.empty()) {
            notes_.cannot(start.place, "gid " + start.group, "it needs a uid beside it");
        }
        if (service.stop &&
            (service.stop->user != start.user || service.stop->group != start.group))
            notes_.cannot(service.stop->place, "the user of the stop program of " + service.name,
                          "a unit has one user, that of its start program");
    }

    static void groups(const MonitService& service, TomlTable& unit) {
        if (service.groups.empty()) return;
        unit.set("group", toml::text(service.groups.front()));
        if (service.groups.size() > 1)
            unit.set("tags", toml::texts({service.groups.begin() + 1, service.groups.end()}));
    }

    void depends(const MonitService& service, TomlTable& unit) {
        std::vector<std::string> keys;
        for (const auto& [name, place] : service.depends) {
            const std::string* key = names_.find(name);
            if (key == nullptr || name == service.name || !units_.contains(*key)) {
                notes_.cannot(place, "depends on " + shortened(name) + " of " + service.name,
                              "there is no such unit here");
            } else if (std::ranges::find(keys, *key) == keys.end()) {
                keys.push_back(*key);
            }
        }
        if (keys.empty()) unit.erase("requires");
        if (!keys.empty()) unit.set("requires", toml::texts(keys));
    }

    std::string path_;
    config::FileSource& source_;
    Notes notes_;
    MonitControl control_;
    std::uint64_t cycle_s_ = kUsualCycle;
    UnitNames names_;
    std::vector<std::pair<const MonitService*, std::string>> kept_; // and their keys
    std::map<std::string, TomlTable> units_;                        // by key
};

} // namespace

Result<Imported> import_monit(const std::string& path, config::FileSource& source) {
    return MonitImporter(path, source).run();
}

} // namespace keepwell::importer
