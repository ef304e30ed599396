#include "supervisor/config/environment.h"

#include "supervisor/config/expand.h"
#include "supervisor/config/file_source.h"
#include "supervisor/config/values.h"

#include <algorithm>
#include <sys/resource.h>

namespace keepwell::config {
namespace {

constexpr std::uint64_t kLargestEnvFile = 4U << 20;
// Linux: MAX_ARG_STRLEN (32 pages), and a quarter of the stack limit but at most 6 MiB and at
// least 128 KiB for all strings and the pointers to them.
constexpr std::size_t kLargestString = 32 * 4096;
constexpr std::uint64_t kLargestTotal = 6U << 20;
constexpr std::uint64_t kSmallestTotal = 128U << 10;
// The program's path, KEEPWELL_UNIT and what the kernel adds.
constexpr std::uint64_t kReserve = 8192;

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r";
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string_view unquoted(std::string_view value) {
    const bool quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                        value.front() == value.back();
    return quoted ? value.substr(1, value.size() - 2) : value;
}

void read_env_file(Reader& unit, const Node& name, Environment& to) {
    if (!name.is_string()) {
        unit.error(name, wrong_kind(name, "a string"));
        return;
    }
    const std::string path = resolve_secret_path(name.text, name.where);
    auto text = read_regular_file(path, kLargestEnvFile);
    if (!text) {
        unit.error(name, text.error().message);
        return;
    }
    auto values = parse_env_file(*text);
    if (!values) {
        unit.error(name, path + values.error().message);
        return;
    }
    for (auto& [key, value] : *values) to[key] = std::move(value);
}

void read_env_files(Reader& unit, Environment& to) {
    const Node* found = unit.take("env_file");
    if (found == nullptr) return;
    if (found->kind != NodeKind::Array) {
        read_env_file(unit, *found, to);
        return;
    }
    for (const Node& item : found->items) read_env_file(unit, item, to);
}

// Numbers and booleans are what people write for ports and switches.
bool environment_value(Reader& reader, const Node& item, std::string& to) {
    switch (item.kind) {
    case NodeKind::String: to = item.text; return true;
    case NodeKind::Integer: to = std::to_string(item.integer); return true;
    case NodeKind::Boolean: to = item.boolean ? "true" : "false"; return true;
    case NodeKind::Float:
    case NodeKind::Array:
    case NodeKind::Table:
    case NodeKind::Time: break;
    }
    reader.error(item, wrong_kind(item, "a string"));
    return false;
}

void read_table(Reader& unit, Environment& to) {
    const Node* found = unit.table("environment");
    if (found == nullptr) return;
    for (const Node& item : found->items) {
        std::string value;
        if (!environment_value(unit, item, value)) continue;
        if (!is_environment_name(item.key)) {
            unit.error(item, quote(item.key) + " cannot be the name of a variable");
        } else if (value.find('\0') != std::string::npos) {
            unit.error(item, "a NUL character cannot be used here");
        } else {
            to[item.key] = std::move(value);
        }
    }
}

std::uint64_t total_limit(const ProcessSpec& process) {
    std::uint64_t stack = 8U << 20;
    rlimit limit{};
    if (::getrlimit(RLIMIT_STACK, &limit) == 0) stack = limit.rlim_cur;
    if (process.limits.stack) stack = *process.limits.stack;
    return std::clamp(stack / 4, kSmallestTotal, kLargestTotal);
}

// Where to point for "command" or "environment.NAME", which may not be there.
Where place_of(const Node& unit, std::string_view key) {
    const std::size_t dot = key.find('.');
    const Node* found = unit.find(key.substr(0, dot));
    if (found == nullptr) return unit.key_where;
    const Node* inner = dot == std::string_view::npos ? nullptr : found->find(key.substr(dot + 1));
    return inner == nullptr ? found->where : inner->where;
}

} // namespace

Environment clean_environment(const UserSpec& user, bool user_run) {
    Environment clean;
    const auto own = [&](const char* name, std::string fallback) {
        clean[name] = user_run ? from_environment(name).value_or(std::move(fallback)) : fallback;
    };
    own("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    own("XDG_RUNTIME_DIR", "/run/user/" + std::to_string(user.uid));
    clean["HOME"] = user.home;
    clean["USER"] = user.name;
    clean["LOGNAME"] = user.name;
    clean["LANG"] = from_environment("LANG").value_or("C.UTF-8");
    return clean;
}

Result<Environment> parse_env_file(const std::string& text) {
    Environment values;
    std::size_t number = 0;
    std::string_view rest = text;
    while (!rest.empty()) {
        ++number;
        const std::size_t end = rest.find('\n');
        std::string_view line = trimmed(rest.substr(0, end));
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        if (line.empty() || line[0] == '#') continue;
        if (line.starts_with("export ")) line = trimmed(line.substr(7));
        const std::size_t equals = line.find('=');
        const std::string_view name = trimmed(line.substr(0, equals));
        if (equals == std::string_view::npos || name.empty() ||
            line.find('\0') != std::string_view::npos) {
            // The line may hold a secret: name its number only.
            return Error{":" + std::to_string(number) + ": not a line like NAME=value"};
        }
        values[std::string(name)] = unquoted(trimmed(line.substr(equals + 1)));
    }
    return values;
}

std::vector<std::string> read_environment(Reader& unit, const UserSpec& user, Context& context) {
    Environment values = clean_environment(user, context.user_run);
    std::vector<std::string> inherited;
    unit.texts("inherit_environment", inherited);
    for (const std::string& name : inherited) {
        if (auto value = from_environment(name)) values[name] = std::move(*value);
    }
    read_env_files(unit, values);
    read_table(unit, values);
    std::vector<std::string> list;
    list.reserve(values.size());
    for (const auto& [name, value] : values) list.push_back(name + "=" + value);
    return list;
}

void check_sizes(const Node& unit, const ProcessSpec& process, Messages& messages) {
    const auto report = [&](std::string_view key, const std::string& what) {
        messages.error(place_of(unit, key),
                       "cannot read " + unit.path + "." + std::string(key) + ": " + what);
    };
    std::uint64_t total = kReserve;
    for (const std::string& argument : process.command) {
        total += argument.size() + 1 + sizeof(char*);
        if (argument.size() < kLargestString) continue;
        report("command", "an argument has " + std::to_string(argument.size()) +
                              " bytes and one may have " + std::to_string(kLargestString - 1) +
                              " (pass a file instead)");
    }
    for (const std::string& variable : process.environment) {
        total += variable.size() + 1 + sizeof(char*);
        if (variable.size() < kLargestString) continue;
        const std::string name = variable.substr(0, variable.find('='));
        const Node* table = unit.find("environment");
        const bool said = table != nullptr && table->find(name) != nullptr;
        report(said ? "environment." + name : "environment",
               name + "=… has " + std::to_string(variable.size()) + " bytes and one may have " +
                   std::to_string(kLargestString - 1) + " (pass a file instead)");
    }
    if (const std::uint64_t limit = total_limit(process); total > limit) {
        report("environment", "command and environment have " + std::to_string(total) +
                                  " bytes and a quarter of the stack limit is " +
                                  std::to_string(limit) + " (shorten them)");
    }
}

} // namespace keepwell::config
