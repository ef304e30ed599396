#include "supervisor/engine/wanted.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace keepwell {

namespace {

std::string failed(const std::string& what) {
    return "cannot keep the wanted states: " + what + ": " + std::strerror(errno) +
           "; until state_dir can be written, a restart of keepwell forgets what was stopped by "
           "hand";
}

// Empty: written and on disk.
std::string write_whole(const std::string& path, const std::string& text, const char* suffix) {
    const std::string temporary = path + suffix;
    const int fd =
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) return failed(temporary);
    const bool ok = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                    fsync(fd) == 0;
    const std::string error = ok ? "" : failed(temporary);
    ::close(fd);
    if (!ok) return error;
    if (std::rename(temporary.c_str(), path.c_str()) != 0) return failed(path);
    const int dir =
        ::open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        (void)fsync(dir);
        ::close(dir);
    }
    return "";
}

} // namespace

WantedStore::WantedStore(uv::Loop& loop, std::string path,
                         std::function<void(std::string)> on_error)
    : loop_(loop), path_(std::move(path)), on_error_(std::move(on_error)) {
    std::ifstream in(path_);
    for (std::string key, word; in >> key >> word;)
        wanted_[key] = word == "stopped" ? Desired::Stopped : Desired::Running;
}

WantedStore::~WantedStore() {
    if (!dirty_) return;
    work_.reset();
    std::ostringstream text;
    for (const auto& [key, desired] : wanted_) text << key << ' ' << to_string(desired) << '\n';
    (void)write_whole(path_, text.str(),
                      ".last"); // a write in the pool may still use the other name
}

std::optional<Desired> WantedStore::get(const std::string& key) const {
    const auto it = wanted_.find(key);
    if (it == wanted_.end()) return std::nullopt;
    return it->second;
}

void WantedStore::set(const std::string& key, Desired desired) {
    if (get(key) == desired) return;
    wanted_[key] = desired;
    dirty_ = true;
    if (!work_) flush();
}

void WantedStore::flush() {
    std::ostringstream text;
    for (const auto& [key, desired] : wanted_) text << key << ' ' << to_string(desired) << '\n';
    dirty_ = false;
    auto error = std::make_shared<std::string>();
    work_ = uv::run_in_pool(
        loop_, [path = path_, t = text.str(), error] { *error = write_whole(path, t, ".new"); },
        [this, error] {
            work_.reset();
            if (!error->empty()) on_error_(*error);
            if (dirty_) flush();
        });
}

} // namespace keepwell
