#include "supervisor/cli/context.h"

#include "supervisor/config/config.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace keepwell::cli {

namespace {

namespace fs = std::filesystem;

// What the configuration says; empty where there is none that can be used. Its own mistakes are not
// this verb's business: the supervisor may well run with an older one.
SupervisorSpec configured(const Options& options) {
    LoadOptions load;
    load.files = options.config;
    load.user_run = user_run();
    return load_configuration(load).config.supervisor;
}

std::string default_runtime_dir(const Io& io) {
    std::string system = "/run/keepwell";
    if (!user_run()) return system;
    const std::string xdg = io.variable("XDG_RUNTIME_DIR");
    std::error_code ignored;
    if (xdg.empty()) return system;
    const std::string own = xdg + "/keepwell";
    const bool only_system =
        !fs::exists(own + "/control.sock", ignored) && fs::exists(system, ignored);
    return only_system ? system : own;
}

std::string runtime_dir(const Options& options, const Io& io) {
    std::string dir = configured(options).runtime_dir;
    // Without -c an ordinary user means the system's keepwell too, when there is none of their own.
    std::error_code ignored;
    const bool chosen = !options.config.empty() || !io.variable("KEEPWELL_CONFIG").empty();
    if (!dir.empty() && (chosen || fs::exists(dir + "/control.sock", ignored))) return dir;
    const std::string fallback = default_runtime_dir(io);
    return dir.empty() || fs::exists(fallback + "/control.sock", ignored) ? fallback : dir;
}

} // namespace

bool user_run() { return geteuid() != 0; }

std::string socket_path(const Options& options, const Io& io) {
    if (!options.socket.empty()) return options.socket;
    if (std::string path = io.variable("KEEPWELL_SOCKET"); !path.empty()) return path;
    return runtime_dir(options, io) + "/control.sock";
}

Context::Context(Options options, Io& io)
    : options_(std::move(options)), io_(io), client_(socket_path(options_, io_)) {}

std::string Context::status_file() const {
    if (!options_.status_file.empty()) return options_.status_file;
    if (std::string path = io_.variable("KEEPWELL_STATUS_FILE"); !path.empty()) return path;
    const bool socket_named = !options_.socket.empty() || !io_.variable("KEEPWELL_SOCKET").empty();
    if (!socket_named) {
        std::string path = configured(options_).status_file;
        std::error_code ignored;
        if (!path.empty() && fs::exists(path, ignored)) return path;
    }
    return fs::path(client_.socket_path()).parent_path() / "status.json";
}

int Context::fail(const std::string& message, int code) {
    io_.out.flush();
    io_.err << "keepwell: " << message << std::endl;
    return code;
}

void Context::note(const std::string& message) { (void)fail(message); }

int Context::unreachable(const Error& error) {
    if (nobody_there(error)) {
        return fail("keepwell is not running (no answer at " + safe_text(client_.socket_path()) +
                        "); start it with \"systemctl start keepwell\" or \"keepwell run -c FILE\"",
                    kExitNotRunning);
    }
    if (error.code == EACCES || error.code == EPERM) {
        return fail(safe_text(error.message) +
                    "; run this as root or as a member of the group of the socket");
    }
    if (error.code == ETIMEDOUT) {
        return fail(safe_text(error.message) +
                    "; the supervisor hangs, its keeper replaces it soon: try again");
    }
    return fail(safe_text(error.message));
}

int Context::refused(const Response& response, const std::vector<std::string>& typed) {
    const auto parsed = Json::parse(response.body);
    const Json body = parsed ? *parsed : Json{};
    const std::string text = body["error"].text();
    const std::string code = body["code"].text();
    const bool unknown = code == "unknown_service" || code == "unknown_check";
    if (unknown && text.find("did you mean") == std::string::npos && !typed.empty()) {
        if (const auto known = units()) {
            const auto chosen = select_units(*known, typed);
            if (!chosen) return fail(chosen.error().message, kExitNoSuchUnit);
        }
    }
    const std::string fallback = "keepwell answered with HTTP " + std::to_string(response.status);
    return fail(text.empty() ? fallback : safe_text(text), unknown ? kExitNoSuchUnit : kExitError);
}

Result<std::vector<NamedUnit>> Context::units() {
    auto answer = client_.get("/api/status");
    if (!answer) return answer.error();
    const auto document = Json::parse(answer->body);
    if (!document) return document.error();
    return units_of(*document);
}

std::vector<NamedUnit> units_of(const Json& status_document) {
    std::vector<NamedUnit> out;
    const Json services = status_document["services"];
    for (const auto& key : services.keys()) {
        const Json unit = services[key];
        out.push_back({key, unit["name"].text(key), unit["group"].text()});
    }
    return out;
}

} // namespace keepwell::cli
