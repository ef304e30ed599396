// Procfile: "name: command" lines. Foreman and its relatives run them by a shell, in the folder of
// the file, with the variables of .env, and give the n-th process the port 5000 + 100 n.
#include "supervisor/import/formats.h"
#include "supervisor/import/source_text.h"

namespace keepwell::importer {

namespace {

constexpr std::uint64_t kFirstPort = 5000;
constexpr std::uint64_t kPortStep = 100;
constexpr std::size_t kMostProcesses = 10'000;

bool is_name(std::string_view text) {
    return !text.empty() && text.find_first_of(" \t\"'$=/") == std::string_view::npos;
}

// $PORT or ${PORT}, not $PORTAL.
bool uses_port(std::string_view command) {
    for (std::size_t at = command.find("PORT"); at != std::string_view::npos;
         at = command.find("PORT", at + 1)) {
        const char next = at + 4 < command.size() ? command[at + 4] : ' ';
        const bool ends = !((next >= 'A' && next <= 'Z') || (next >= 'a' && next <= 'z') ||
                            (next >= '0' && next <= '9') || next == '_');
        const bool braced = at >= 2 && command.substr(at - 2, 2) == "${";
        if (ends && (braced || (at >= 1 && command[at - 1] == '$'))) return true;
    }
    return false;
}

// A shell that runs one plain program is replaced by it, so that signals reach the program.
bool is_one_program(std::string_view command) {
    return command.find_first_of(";&|<>()`\n") == std::string_view::npos &&
           !command.starts_with("exec ") && !command.starts_with("cd ") &&
           command.substr(0, command.find(' ')).find('=') == std::string_view::npos;
}

} // namespace

Result<Imported> import_procfile(const std::string& path, config::FileSource& source) {
    Notes notes;
    const auto text = read_source(path, source, notes);
    if (!text) return text.error();
    const std::string folder = absolute_folder_of(path);
    const bool has_env = !source.match(below(folder_of(path), ".env")).empty();
    TomlDocument document;
    begin(document, "a Procfile", path);
    UnitNames names;
    std::size_t units = 0;
    std::uint32_t number = 0;
    for (const std::string& line : lines_of(*text)) {
        const Place place{path, ++number};
        const std::string_view content = trimmed(line);
        if (content.empty() || content.starts_with('#')) continue;
        const std::size_t colon = content.find(':');
        const std::string name(trimmed(content.substr(0, colon)));
        const std::string_view command =
            colon == std::string_view::npos ? "" : trimmed(content.substr(colon + 1));
        if (command.empty() || !is_name(name)) {
            notes.cannot(place, shortened(content), "it is no line like \"web: command\"");
            continue;
        }
        if (units == kMostProcesses) {
            notes.cannot(place, "the rest", "10000 processes are the most");
            break;
        }
        if (!fits({std::string(command)})) {
            notes.cannot(place, name, "its command is longer than a program may be given");
            continue;
        }
        if (names.find(name) != nullptr)
            notes.cannot(place, name + " as it is",
                         "the name is there twice; this one got a number");
        TomlTable unit;
        const std::string key = names.add(name);
        UnitNames::show(unit, key, name);
        unit.set("shell",
                 toml::text((is_one_program(command) ? "exec " : "") + std::string(command)));
        unit.set("directory", toml::text(folder));
        if (has_env) unit.set("env_file", toml::text(below(folder, ".env")));
        // Every process gets one, whether its command says so or its program looks for it.
        const std::uint64_t port = kFirstPort + kPortStep * units;
        TomlTable environment;
        environment.set("PORT", toml::number(port));
        unit.set("environment", environment.inlined());
        if (uses_port(command))
            notes.cannot(place, "$PORT of " + name,
                         "it is given by foreman; here it is " + std::to_string(port) +
                             ", as foreman would count (change environment.PORT)");
        document.table("unit." + toml::key(key), unit);
        ++units;
    }
    return finish(document, notes, units, path);
}

} // namespace keepwell::importer
