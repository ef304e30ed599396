#include "supervisor/feeds/log_wake.h"

#include <algorithm>
#include <sys/inotify.h>

namespace keepwell::feeds {
namespace {

constexpr int kMostReads = 64; // in one turn; what is left rings again
constexpr std::uint32_t kEvents = IN_MODIFY | IN_CREATE | IN_MOVED_TO;

std::string folder_of(const std::string& file) { return file.substr(0, file.rfind('/') + 1); }

} // namespace

LogWake::LogWake(uv::Loop& loop, std::function<void()> rung)
    : loop_(loop), rung_(std::move(rung)) {}

LogWake::~LogWake() = default;

bool LogWake::watch(const std::string& file) {
    const std::string folder = folder_of(file);
    const auto known = std::ranges::any_of(
        folders_, [&folder](const auto& entry) { return entry.second == folder; });
    if (known) return true;
    if (!inotify_) {
        inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        if (!inotify_) return false;
        poll_ = std::make_unique<uv::Poll>(loop_, inotify_.get(), [this](int, int) {
            poll_->stop(); // until take(): what comes meanwhile is one notice
            rung_();
        });
        poll_->start(UV_READABLE);
    }
    const int watch = ::inotify_add_watch(inotify_.get(), folder.c_str(), kEvents);
    if (watch < 0) return false;
    folders_[watch] = folder;
    return true;
}

void LogWake::forget_all() {
    poll_.reset();
    inotify_.reset();
    folders_.clear();
}

std::set<std::string> LogWake::take(bool& everything) {
    std::set<std::string> files;
    alignas(inotify_event) char buffer[16U << 10];
    if (!inotify_) return files;
    for (int reads = 0; reads < kMostReads; ++reads) {
        const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
        if (n <= 0) break;
        for (ssize_t at = 0; at < n;) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
            at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
            const auto folder = folders_.find(event->wd);
            if ((event->mask & IN_Q_OVERFLOW) != 0) everything = true;
            if (folder == folders_.end()) continue;
            if ((event->mask & IN_IGNORED) != 0)
                folders_.erase(folder); // it is gone
            else if (event->len > 0)
                files.insert(folder->second + event->name);
        }
    }
    poll_->start(UV_READABLE);
    return files;
}

} // namespace keepwell::feeds
