// supervisord.conf: reads the files, decides which units the programs become, and lets
// supervisord_program.cpp write each.
#include "supervisor/import/formats.h"
#include "supervisor/import/supervisord_program.h"

#include <algorithm>
#include <set>

namespace keepwell::importer {

namespace {

constexpr std::uint64_t kMostCopies = 1000;
constexpr std::size_t kMostUnits = 10'000;
constexpr std::size_t kMostIncluded = 1000;
constexpr std::uint64_t kUsualPriority = 999;
constexpr std::size_t kMostAfter = 50;

// One unit to be: a program, or one copy of it.
struct Planned {
    const IniSection* program = nullptr;
    std::string name; // as supervisord shows it
    Expressions expressions;
    std::uint64_t instances = 1;
    std::uint64_t priority = kUsualPriority;
    std::string group, key;
    std::optional<TomlTable> table;
};

class SupervisordImporter {
  public:
    SupervisordImporter(std::string path, config::FileSource& source)
        : path_(std::move(path)), source_(source) {}

    Result<Imported> run() {
        const auto text = read_source(path_, source_, notes_);
        if (!text) return text.error();
        ini_.read(*text, path_, notes_);
        includes();
        shared();
        for (const IniSection& section : ini_.sections()) other_section(section);
        for (const IniSection& section : ini_.sections()) {
            if (section.kind() == "program") plan(section);
        }
        order();
        return write();
    }

  private:
    void includes() {
        const IniSection* section = ini_.find("include");
        const IniOption* files = section == nullptr ? nullptr : section->find("files");
        if (files == nullptr) return;
        const Place place = files->place;
        const std::string value = here(*files, "files");
        std::size_t read = 0;
        const auto patterns = split_words(value);
        if (!patterns) {
            notes_.cannot(place, "files", patterns.error().message);
            return;
        }
        for (const std::string& pattern : *patterns) {
            for (const std::string& file : source_.match(below(folder_of(path_), pattern))) {
                if (++read > kMostIncluded) {
                    notes_.cannot(place, "files", "1000 files are the most");
                    return;
                }
                const auto text = read_source(file, source_, notes_);
                if (text) ini_.read(*text, file, notes_);
                if (!text) notes_.cannot(place, "files", text.error().message);
            }
        }
    }

    std::string here(const IniOption& option, const std::string& what) {
        Expressions known;
        known.set("here", absolute_folder_of(option.place.file));
        return known.expand(option.value, option.place, what, notes_);
    }

    void shared() {
        shared_.folder = absolute_folder_of(path_);
        const IniSection* section = ini_.find("supervisord");
        if (section == nullptr) return;
        for (const IniOption& option : section->left()) {
            const std::string value = here(option, option.name);
            if (option.name == "user") {
                if (value != "root") shared_.user = value;
            } else if (option.name == "umask") {
                shared_.umask = value;
            } else if (option.name == "directory") {
                shared_.directory = value;
            } else if (option.name == "environment") {
                shared_.environment = split_pairs(value, option.place, "environment", notes_);
            } else {
                notes_.cannot(option.place, option.name + " of [supervisord]",
                              "it is about supervisord itself (see [supervisor] of "
                              "keepwell.toml(5))");
            }
        }
    }

    // Everything that is no program.
    void other_section(const IniSection& section) {
        const std::string kind = section.kind();
        const auto cannot = [&](const std::string& why) {
            notes_.cannot(section.place(), "[" + section.title() + "]", why);
        };
        if (kind == "group") {
            group(section);
        } else if (kind == "eventlistener") {
            cannot("keepwell has no event listeners (see keepwell events --follow, and notify)");
        } else if (kind == "fcgi-program") {
            cannot("keepwell opens no sockets for programs");
        } else if (kind == "unix_http_server" || kind == "inet_http_server" ||
                   kind == "rpcinterface") {
            cannot("keepwell has a control socket of its own, runtime_dir/control.sock");
        } else if (kind == "include") {
            for (const IniOption& option : section.left()) {
                if (option.name != "files")
                    notes_.cannot(option.place, option.name, "[include] knows only files");
            }
        } else if (kind != "program" && kind != "supervisord" && kind != "supervisorctl") {
            cannot("keepwell has no such section");
        } else if (kind == "program" && section.name().empty()) {
            cannot("it has no name");
        }
    }

    void group(const IniSection& section) {
        for (const IniOption& option : section.left()) {
            if (option.name != "programs") {
                notes_.cannot(option.place, option.name + " of group " + section.name(),
                              "a group is only a name for several units");
                continue;
            }
            for (std::string_view rest = option.value; !rest.empty();) {
                const std::size_t comma = std::min(rest.find_first_of(",\n"), rest.size());
                const std::string name(trimmed(rest.substr(0, comma)));
                rest.remove_prefix(std::min(comma + 1, rest.size()));
                if (name.empty()) continue;
                groups_[name] = section.name();
                if (ini_.find("program:" + name) == nullptr)
                    notes_.cannot(option.place, name + " of group " + section.name(),
                                  "there is no such program");
            }
        }
    }

    std::uint64_t number(const IniSection& program, std::string_view option, std::uint64_t usual,
                         std::uint64_t most) {
        const IniOption* found = program.find(option);
        if (found == nullptr) return usual;
        const auto value = whole_number(found->value);
        if (value && *value <= most) return *value;
        notes_.cannot(found->place, found->name + " of " + program.name(),
                      shortened(found->value) + " is not a number from 0 to " +
                          std::to_string(most) + "; it counts as " + std::to_string(usual));
        return usual;
    }

    NumberUse number_use(const IniSection& program) const {
        NumberUse use = NumberUse::None;
        for (const IniOption& option : program.left()) {
            if (option.name != "process_name") use = std::max(use, uses_process_num(option.value));
        }
        return use;
    }

    Planned planned(const IniSection& program) {
        Planned unit;
        unit.program = &program;
        unit.name = program.name();
        const auto group = groups_.find(program.name());
        if (group != groups_.end()) unit.group = group->second;
        const std::string group_name = unit.group.empty() ? program.name() : unit.group;
        unit.expressions.set("here", absolute_folder_of(program.place().file));
        unit.expressions.set("program_name", program.name());
        unit.expressions.set("group_name", group_name);
        unit.expressions.set("numprocs", number(program, "numprocs", 1, kMostCopies));
        unit.priority = number(program, "priority", kUsualPriority, kMostCopies * kMostCopies);
        return unit;
    }

    // %(ENV_X)s is what the configuration sets, before what supervisord was started with.
    void define_variables(Planned& unit) {
        for (const auto& [name, value] : shared_.environment) unit.expressions.define(name, value);
        const IniOption* own = unit.program->find("environment");
        if (own == nullptr) return;
        Notes ignored; // the same text is read again, for the unit itself
        const std::string text = unit.expressions.expand(own->value, own->place, "", ignored);
        for (const auto& [name, value] : split_pairs(text, own->place, "", ignored))
            unit.expressions.define(name, value);
    }

    void plan(const IniSection& program) {
        if (program.name().empty()) return;
        const std::uint64_t copies = number(program, "numprocs", 1, kMostCopies);
        const std::uint64_t first = number(program, "numprocs_start", 0, kMostCopies);
        const NumberUse use = number_use(program);
        Planned unit = planned(program);
        if (copies <= 1) {
            unit.expressions.set("process_num", first);
            units_.push_back(std::move(unit));
            return;
        }
        // keepwell counts instances from 1 and without zeros; anything else would change the
        // programs' arguments.
        if (use == NumberUse::None || (use == NumberUse::Plain && first == 1)) {
            unit.instances = copies;
            unit.expressions.count_instances();
            units_.push_back(std::move(unit));
            return;
        }
        if (unit.group.empty()) unit.group = program.name();
        const IniOption* naming = program.find("process_name");
        for (std::uint64_t n = first; n < first + copies && units_.size() < kMostUnits; ++n) {
            Planned copy = unit;
            copy.expressions.set("process_num", n);
            copy.name = program.name() + "-" + std::to_string(n);
            if (naming != nullptr && uses_process_num(naming->value) != NumberUse::None)
                copy.name =
                    copy.expressions.expand(naming->value, naming->place, "process_name", notes_);
            units_.push_back(std::move(copy));
        }
    }

    // Programs of lower priority come first.
    void order() {
        for (Planned& unit : units_) {
            unit.key = names_.add(unit.name);
            define_variables(unit);
            unit.table = program_table(*unit.program, {shared_, unit.expressions,
                                                       unit.key == unit.name ? "" : unit.name,
                                                       unit.group, notes_});
        }
        std::erase_if(units_, [](const Planned& unit) { return !unit.table; });
        std::map<std::uint64_t, std::vector<std::string>> tiers;
        for (const Planned& unit : units_) {
            if (!unit.table->has("autostart")) tiers[unit.priority].push_back(unit.key);
        }
        for (Planned& unit : units_) {
            const auto tier = tiers.lower_bound(unit.priority);
            if (tier == tiers.begin()) continue;
            const auto& before = std::prev(tier)->second;
            if (before.size() <= kMostAfter) {
                unit.table->set("after", toml::texts(before));
            } else {
                notes_.cannot(unit.program->place(), "priority of " + unit.name,
                              "more than 50 programs come before it (say after = [...])");
            }
        }
    }

    Result<Imported> write() {
        TomlDocument document;
        begin(document, "supervisord", path_);
        for (Planned& unit : units_) {
            if (unit.instances > 1) unit.table->set("instances", toml::number(unit.instances));
            document.table("unit." + toml::key(unit.key), *unit.table);
        }
        return finish(document, notes_, units_.size(), path_);
    }

    std::string path_;
    config::FileSource& source_;
    IniFile ini_;
    Notes notes_;
    SharedOptions shared_;
    std::map<std::string, std::string> groups_; // program, group
    std::vector<Planned> units_;
    UnitNames names_;
};

} // namespace

Result<Imported> import_supervisord(const std::string& path, config::FileSource& source) {
    return SupervisordImporter(path, source).run();
}

} // namespace keepwell::importer
