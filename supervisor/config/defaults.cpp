#include "supervisor/config/defaults.h"

#include "supervisor/config/config.h"
#include "supervisor/config/users.h"

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <unistd.h>

namespace keepwell {
namespace {

// XDG says that relative paths in these variables are to be ignored.
std::string folder_or(const char* variable, const std::string& fallback) {
    const char* value = ::getenv(variable);
    return value != nullptr && value[0] == '/' ? value : fallback;
}

std::string home_folder() {
    config::UserTable users;
    return folder_or("HOME", users.own().home);
}

} // namespace

std::vector<std::string> default_config_files(bool user_run) {
    if (const char* named = ::getenv("KEEPWELL_CONFIG"); named != nullptr && *named != '\0') {
        return {named};
    }
    if (!user_run) return {"/etc/keepwell/keepwell.toml"};
    return {folder_or("XDG_CONFIG_HOME", home_folder() + "/.config") + "/keepwell/keepwell.toml"};
}

namespace config {

SupervisorSpec default_supervisor(bool user_run) {
    SupervisorSpec spec;
    spec.max_parallel_starts = 2 * std::max(1U, std::thread::hardware_concurrency());
    if (user_run) {
        spec.runtime_dir =
            folder_or("XDG_RUNTIME_DIR", "/run/user/" + std::to_string(::geteuid())) + "/keepwell";
        spec.state_dir = folder_or("XDG_STATE_HOME", home_folder() + "/.local/state") + "/keepwell";
        spec.log_dir = spec.state_dir + "/log";
    } else {
        spec.runtime_dir = "/run/keepwell";
        spec.state_dir = "/var/lib/keepwell";
        spec.log_dir = "/var/log/keepwell";
        spec.listen = {"127.0.0.1:5001"};
    }
    return spec;
}

} // namespace config
} // namespace keepwell
