#include "supervisor/config/process_reader.h"

#include "supervisor/config/environment.h"
#include "supervisor/config/values.h"

#include <sys/resource.h>
#include <unistd.h>

namespace keepwell::config {
namespace {

struct LimitKey {
    std::string_view name;
    std::optional<std::uint64_t> LimitSpec::*member;
    int resource;
};
constexpr LimitKey kLimits[] = {{"nofile", &LimitSpec::nofile, RLIMIT_NOFILE},
                                {"core", &LimitSpec::core, RLIMIT_CORE},
                                {"nproc", &LimitSpec::nproc, RLIMIT_NPROC},
                                {"stack", &LimitSpec::stack, RLIMIT_STACK},
                                {"as", &LimitSpec::as, RLIMIT_AS},
                                {"fsize", &LimitSpec::fsize, RLIMIT_FSIZE},
                                {"memlock", &LimitSpec::memlock, RLIMIT_MEMLOCK}};

void check_hard_limit(Reader& limits, const LimitKey& key, std::uint64_t value) {
    rlimit now{};
    if (::geteuid() == 0 || ::getrlimit(static_cast<__rlimit_resource>(key.resource), &now) != 0 ||
        value <= now.rlim_max) {
        return;
    }
    const Node& at = *limits.node().find(key.name);
    limits.error(at, "more than the hard limit " + std::to_string(now.rlim_max) +
                         " of this user (lower it, or run keepwell as root)");
}

constexpr std::uint64_t kLeastMemory = 1U << 20; // less than any program needs to start
constexpr std::int64_t kMostCpuSeconds = 100'000;
constexpr std::int64_t kMostPids = 4'000'000;

// The limits of the whole tree, which cgroups enforce.
void read_tree_limits(Reader& limits, LimitSpec& to) {
    std::uint64_t memory = 0;
    if (limits.size("memory", memory)) {
        to.memory = memory;
        if (memory < kLeastMemory)
            limits.error(*limits.node().find("memory"), "no program can start in less than 1M");
    }
    std::uint32_t count = 0;
    if (limits.integer("cpu", count, 1, kMostCpuSeconds)) to.cpu = count;
    if (limits.integer("pids", count, 1, kMostPids)) to.pids = count;
}

void read_limits(Reader& unit, LimitSpec& to) {
    const Node* found = unit.table("limits");
    if (found == nullptr) return;
    Reader limits(*found, unit.messages());
    for (const LimitKey& key : kLimits) {
        const Node* said = found->find(key.name);
        std::uint64_t value = 0;
        if (said != nullptr && said->is_string() && said->text == "unlimited") {
            static_cast<void>(limits.take(key.name));
            value = RLIM_INFINITY;
        } else if (!limits.size(key.name, value)) {
            continue;
        }
        check_hard_limit(limits, key, value);
        to.*key.member = value;
    }
    read_tree_limits(limits, to);
    limits.finish();
}

void read_umask(Reader& unit, std::uint32_t& to) {
    const Node* found = unit.take("umask");
    if (found == nullptr) return;
    if (!found->is_string()) {
        // 022 is no TOML and 22 would be read as a decimal number.
        unit.error(*found, wrong_kind(*found, "a string", "\"022\""));
        return;
    }
    auto value = parse_umask(found->text);
    if (!value) {
        unit.error(*found, value.error().message);
        return;
    }
    to = *value;
}

void read_user(Reader& unit, std::optional<UserSpec>& to, Context& context) {
    std::string name;
    if (!unit.nonempty_text("user", name)) return;
    const Node& at = *unit.node().find("user");
    auto user = context.users.find(name);
    if (!user) {
        unit.error(at, user.error().message);
        return;
    }
    if (::geteuid() != 0 && user->uid != ::geteuid()) {
        unit.warning(at, "only root can start programs as " + quote(name) +
                             " (run keepwell as root, or remove user)");
    }
    to = std::move(*user);
}

// A relative program is searched in PATH or, with a slash in it, belongs to the unit's directory.
void check_program(Reader& unit, const ProcessSpec& process) {
    if (process.command.empty()) return;
    const std::string& program = process.command[0];
    if (program.starts_with('/') || program.find('/') == std::string::npos) return;
    const Node* at = unit.node().find("command");
    if (at == nullptr || unit.node().find("directory") != nullptr) return;
    unit.error(*at, quote(program) + " is relative and the unit has no directory (write the whole "
                                     "path, or set directory)");
}

void read_commands(Reader& unit, ProcessSpec& to) {
    std::string shell;
    if (unit.nonempty_text("shell", shell)) to.command = {"/bin/sh", "-c", shell};
    unit.argv("command", to.command);
    if (unit.node().find("shell") != nullptr && unit.node().find("command") != nullptr) {
        unit.error(*unit.node().find("shell"), "command is given too (keep one of them)");
    }
    unit.argv("start_command", to.start_command);
    unit.argv("stop_command", to.stop_command);
    unit.argv("reload_command", to.reload_command);
    unit.argv("pre_start", to.pre_start);
}

} // namespace

void read_process(Reader& unit, ProcessSpec& to, Context& context) {
    read_commands(unit, to);
    unit.path("directory", to.directory);
    read_user(unit, to.user, context);
    read_umask(unit, to.umask);
    unit.integer("nice", to.nice, -20, 19);
    unit.integer("oom_score_adj", to.oom_score_adj, -1000, 1000);
    read_limits(unit, to.limits);
    to.environment = read_environment(unit, to.user ? *to.user : context.users.own(), context);
    check_program(unit, to);
    check_sizes(unit.node(), to, context.messages);
}

void read_log(Reader& unit, LogSpec& to) {
    const Node* found = unit.table("log");
    if (found == nullptr) return;
    Reader log(*found, unit.messages());
    if (log.size("max_size", to.max_size) && to.max_size < 4096) {
        log.error(*found->find("max_size"), "a log file needs at least 4K");
    }
    log.integer("keep", to.keep, 0, 100'000);
    log.boolean("compress", to.compress);
    log.one_of<LogMode>("mode",
                        {{"pipe", LogMode::Pipe}, {"file", LogMode::File}, {"none", LogMode::None}},
                        to.mode);
    log.one_of<bool>("stderr", {{"merged", false}, {"separate", true}}, to.separate_stderr);
    log.one_of<LogOnError>("on_error", {{"drop", LogOnError::Drop}, {"block", LogOnError::Block}},
                           to.on_error);
    const bool reopens = unit.node().find("reload_command") != nullptr;
    if (to.mode == LogMode::File && !reopens) {
        log.warning(*found->find("mode"), "the file is never rotated without a reload_command that "
                                          "lets the daemon open it anew");
    }
    log.finish();
}

} // namespace keepwell::config
