#include "supervisor/app/once.h"
#include "supervisor/app/open_api.h"
#include "supervisor/app/supervise.h"
#include "supervisor/cli/fetch.h"
#include "supervisor/cli/limits_here.h"
#include "supervisor/cli/owners_here.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/config/config.h"
#include "supervisor/config/last_good.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell::cli {

namespace {

namespace fs = std::filesystem;

LoadOptions load_options(const Context& context) {
    LoadOptions load;
    load.files = context.options().config;
    load.user_run = user_run();
    load.status_file = context.options().status_file;
    load.dry_run = context.options().dry_run;
    return load;
}

// There is no configuration at all: nobody named one and the default files are not there.
bool nothing_configured(const Context& context) {
    if (!context.options().config.empty() || !context.variable("KEEPWELL_CONFIG").empty())
        return false;
    for (const auto& file : default_config_files(user_run())) {
        std::error_code unreadable;
        if (fs::exists(file, unreadable) || unreadable) return false;
    }
    return true;
}

int explain_how_to_begin(Context& context) {
    const auto files = default_config_files(user_run());
    const std::string file = files.empty() ? "keepwell.toml" : files.front();
    context.fail("no configuration: " + safe_text(file) + " is not there and no -c FILE was given");
    context.err() << "\nWrite a file like this and name it with -c, or put it there:\n\n"
                     "    [unit.web]\n"
                     "    command = [\"python3\", \"-m\", \"http.server\", \"8000\"]\n"
                     "    check.http = { url = \"http://127.0.0.1:8000/\" }\n\n"
                     "then: keepwell run -c FILE        (keepwell.toml(5) has all keys)\n";
    return kExitError;
}

void print_messages(Context& context, const LoadResult& loaded) {
    for (const auto& error : loaded.errors) context.err() << safe_text(to_string(error)) << "\n";
    for (const auto& warning : loaded.warnings) {
        context.err() << "warning: " << safe_text(to_string(warning)) << "\n";
    }
    context.err().flush();
}

// Makes a folder and its parents. Only what is made here gets the mode.
Status make_folder(const std::string& path, mode_t mode, const char* key) {
    const std::string hint = std::string(" (supervisor.") + key + ")";
    const auto failed = [&](const char* what, int code) -> Status {
        return Error{std::string("cannot ") + what + " " + path + ": " + std::strerror(code) + hint,
                     code};
    };
    if (path.empty()) return Error{std::string("cannot make a folder: no path") + hint, EINVAL};
    std::error_code error;
    const fs::path parent = fs::path(path).parent_path();
    if (!parent.empty()) fs::create_directories(parent, error);
    if (error) return failed("create", error.value());
    if (mkdir(path.c_str(), mode) == 0) {
        if (chmod(path.c_str(), mode) != 0) return failed("set the mode of", errno);
        return Done{};
    }
    if (errno != EEXIST) return failed("create", errno);
    if (!fs::is_directory(path, error)) return failed("use", ENOTDIR);
    if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) return failed("write to", errno);
    return Done{};
}

Status make_folders(const SupervisorSpec& spec) {
    if (auto made = make_folder(spec.runtime_dir, 0755, "runtime_dir"); !made) return made;
    if (auto made = make_folder(spec.state_dir, 0750, "state_dir"); !made) return made;
    return make_folder(spec.log_dir, 0750, "log_dir");
}

// The pid of the keeper that has this runtime_dir. The next keeper asks the same lock and is the
// one who decides; here it only keeps a second run from blaming others for its own addresses.
std::optional<std::string> keeper_there(const std::string& runtime_dir) {
    const std::string path = runtime_dir + "/lock";
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return std::nullopt;
    std::optional<std::string> pid;
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        std::array<char, 24> text{};
        if (pread(fd, text.data(), text.size() - 1, 0) < 0) text[0] = '\0';
        pid = std::string(text.data()).substr(0, std::strcspn(text.data(), "\n"));
    }
    close(fd);
    return pid;
}

std::string absolute(const std::string& path) {
    std::error_code ignored;
    const fs::path full = fs::absolute(path, ignored);
    return full.empty() ? path : full.lexically_normal().string();
}

// This program's own file; after an upgrade the kernel says "… (deleted)" of the path.
std::string own_path() {
    std::error_code ignored;
    std::string path = fs::read_symlink("/proc/self/exe", ignored).string();
    const std::string gone = " (deleted)";
    if (path.ends_with(gone)) path.resize(path.size() - gone.size());
    return path;
}

// Beside this program, in its libexec folder, else wherever PATH says.
std::string keeper_path(const std::string& own) {
    const fs::path bin = fs::path(own).parent_path();
    for (const auto& path : {bin / "keepwell-keeper",
                             bin.parent_path() / "libexec" / "keepwell" / "keepwell-keeper"}) {
        if (access(path.c_str(), X_OK) == 0) return path;
    }
    return "keepwell-keeper";
}

std::vector<std::string> named_files(const Context& context) {
    std::vector<std::string> files = context.options().config;
    if (files.empty()) files = default_config_files(user_run());
    for (auto& file : files) file = absolute(file);
    return files;
}

std::vector<std::string> keeper_argv(const Context& context, const SupervisorSpec& spec,
                                     const std::string& own) {
    std::vector<std::string> argv = {
        keeper_path(own), "--runtime-dir", absolute(spec.runtime_dir), "--", own, "supervise"};
    // Named also when they are the default ones: the supervisor shall not look for them again.
    for (const auto& file : named_files(context)) argv.insert(argv.end(), {"-c", file});
    // A configuration that cannot be read any more does not say where its predecessor is kept.
    argv.insert(argv.end(), {"--state-dir", absolute(spec.state_dir)});
    if (!context.options().status_file.empty()) {
        argv.insert(argv.end(), {"--status-file", absolute(context.options().status_file)});
    }
    if (context.options().dry_run) argv.emplace_back("--dry-run");
    return argv;
}

int exec_keeper(Context& context, const std::vector<std::string>& arguments) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    context.out().flush();
    execvp(argv[0], argv.data());
    const std::string why = std::strerror(errno);
    return context.fail("cannot start " + arguments[0] + ": " + why +
                        "; install it beside keepwell or in ../libexec/keepwell");
}

// Where the state is, also when the present configuration has mistakes.
std::string state_dir(const Context& context) {
    const std::string dir = load_configuration(load_options(context)).config.supervisor.state_dir;
    return dir.empty() && !user_run() ? "/var/lib/keepwell" : dir;
}

LoadResult load_wanted(Context& context) {
    if (!context.options().last_good) return load_configuration(load_options(context));
    const std::string dir = state_dir(context);
    context.out() << "# " << safe_text(last_good_file(dir)) << "\n";
    return load_last_good(dir, load_options(context));
}

// The last run of these files was killed while its daemons lived, and a file was broken since: the
// daemons are not left alone for that.
std::optional<LoadResult> left_behind(const Context& context) {
    LoadResult good = load_last_good(state_dir(context), load_options(context));
    if (!good.ok()) return std::nullopt;
    for (const auto& file : named_files(context))
        if (std::find(good.files.begin(), good.files.end(), file) == good.files.end())
            return std::nullopt; // somebody else's
    // A clean end takes this file with it.
    std::error_code ignored;
    if (!fs::exists(good.config.supervisor.runtime_dir + "/supervisor.state", ignored))
        return std::nullopt;
    return good;
}

// Until the keeper takes it as the wish for a reload: by default it would end this program.
void hold_hup_back() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    (void)sigprocmask(SIG_BLOCK, &set, nullptr);
}

} // namespace

int verb_run(Context& context) {
    hold_hup_back();
    if (nothing_configured(context)) return explain_how_to_begin(context);
    LoadResult loaded = load_configuration(load_options(context));
    print_messages(context, loaded);
    if (auto good = loaded.ok() ? std::nullopt : left_behind(context)) {
        context.note("the last run left its daemons behind: taking them over with the last good "
                     "configuration; correct the errors above, then keepwell reload");
        loaded = std::move(*good);
    }
    if (!loaded.ok()) {
        return context.fail("cannot start: " + plural(loaded.errors.size(), "error") +
                            " in the configuration; correct it and try again");
    }
    if (const auto made = make_folders(loaded.config.supervisor); !made) {
        const bool hint = user_run() && made.error().code == EACCES;
        return context.fail(safe_text(made.error().message) +
                            (hint ? "; choose a folder of your own or run as root" : ""));
    }
    const std::string& runtime_dir = loaded.config.supervisor.runtime_dir;
    if (const auto pid = keeper_there(runtime_dir))
        return context.fail("cannot start: keepwell is already running as pid " + safe_text(*pid) +
                            " (" + safe_text(runtime_dir) +
                            "/lock); use \"keepwell status\", or another runtime_dir");
    const auto problems = api_problems(loaded.config.supervisor, true);
    for (const auto& problem : problems) context.note(safe_text(problem));
    if (!problems.empty())
        return context.fail("cannot start: the API would not be where the configuration wants it");
    const std::string own = own_path();
    return exec_keeper(context, keeper_argv(context, loaded.config.supervisor, own));
}

int verb_supervise(Context& context) {
    SuperviseOptions supervise_options;
    supervise_options.load = load_options(context);
    supervise_options.state_dir = context.options().state_dir;
    supervise_options.safe = context.options().safe;
    supervise_options.keeper_fd = context.options().keeper_fd;
    return supervise(supervise_options);
}

Fetched status_once(Context& context) {
    if (nothing_configured(context)) return {std::nullopt, explain_how_to_begin(context)};
    const LoadResult loaded = load_configuration(load_options(context));
    if (!loaded.ok()) {
        print_messages(context, loaded);
        return {std::nullopt,
                context.fail("cannot check anything: " + plural(loaded.errors.size(), "error") +
                             " in the configuration")};
    }
    auto document = Json::parse(check_once(loaded.config));
    if (!document) return {std::nullopt, context.fail(safe_text(document.error().message))};
    return {*document, kExitOk};
}

int verb_validate(Context& context) {
    if (!context.options().last_good && nothing_configured(context)) {
        return explain_how_to_begin(context);
    }
    const LoadResult loaded = load_wanted(context);
    print_messages(context, loaded);
    if (!loaded.ok()) {
        context.err() << plural(loaded.errors.size(), "error")
                      << "; the running configuration is untouched" << std::endl;
        return kExitError;
    }
    for (const std::string& text : unenforced_limits(loaded.config))
        context.err() << "warning: " << safe_text(text) << std::endl;
    for (const std::string& text : services_of_daemons(loaded.config))
        context.err() << "note: " << safe_text(text) << std::endl;
    const auto problems = api_problems(loaded.config.supervisor, false);
    for (const auto& problem : problems) context.err() << safe_text(problem) << "\n";
    if (!problems.empty()) {
        context.err() << plural(problems.size(), "error") << "; keepwell would not start"
                      << std::endl;
        return kExitError;
    }
    std::size_t checks = 0;
    for (const auto& unit : loaded.config.units) checks += unit.checks.size();
    context.out() << "configuration is valid: " << plural(loaded.config.units.size(), "unit")
                  << ", " << plural(checks, "check") << "\n";
    return kExitOk;
}

} // namespace keepwell::cli
