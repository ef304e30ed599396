#include "supervisor/uv/folder_watch.h"

#include <cerrno>
#include <cstring>
#include <set>
#include <sys/inotify.h>
#include <unistd.h>

namespace keepwell::uv {

namespace {

constexpr std::uint32_t kWanted =
    IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_ONLYDIR;

} // namespace

FolderWatch::FolderWatch(Loop& loop, std::function<void(const std::string&)> changed)
    : changed_(std::move(changed)), fd_(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (fd_ < 0) return;
    poll_ = std::make_unique<Poll>(loop, fd_, [this](int, int) { read_events(); });
    poll_->start(UV_READABLE);
}

FolderWatch::~FolderWatch() {
    poll_.reset();
    if (fd_ >= 0) close(fd_);
}

bool FolderWatch::watches(const std::string& folder) const {
    for (const auto& [wd, name] : folders_)
        if (name == folder) return true;
    return false;
}

Status FolderWatch::add(const std::string& folder) {
    if (watches(folder)) return Done{};
    const int wd = fd_ < 0 ? -1 : inotify_add_watch(fd_, folder.c_str(), kWanted);
    if (wd < 0) return Error{"cannot watch " + folder + ": " + std::strerror(errno), errno};
    folders_[wd] = folder;
    return Done{};
}

void FolderWatch::read_events() {
    alignas(inotify_event) char buffer[4096];
    std::set<std::string> changed;
    for (;;) {
        const ssize_t n = read(fd_, buffer, sizeof buffer);
        if (n <= 0) break;
        for (ssize_t at = 0; at < n;) {
            inotify_event event{};
            std::memcpy(&event, buffer + at, sizeof event);
            const char* name = event.len > 0 ? buffer + at + sizeof event : nullptr;
            at += static_cast<ssize_t>(sizeof event + event.len);
            const auto it = folders_.find(event.wd);
            if (it == folders_.end()) continue;
            changed.insert(name != nullptr ? it->second + "/" + name : it->second);
            if ((event.mask & IN_IGNORED) != 0) folders_.erase(it); // the folder itself is gone
        }
    }
    for (const std::string& path : changed) changed_(path);
}

} // namespace keepwell::uv
