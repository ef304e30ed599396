#include "supervisor/logs/log_files.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"

#include <cerrno>
#include <exception>
#include <sys/inotify.h>
#include <system_error>

namespace keepwell {

Result<LogBell> LogBell::open(const std::string& dir, const std::vector<std::string>& keys) {
    LogBell bell;
    bell.dir_ = dir;
    bell.keys_ = keys;
    bell.inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!bell.inotify_ || !bell.watch()) {
        const int error = errno;
        return Error{"cannot follow logs in " + dir + ": " + std::generic_category().message(error),
                     error};
    }
    return bell;
}

// Again before every read: files and the directory may be new ones. A watch that is there already
// stays as it is.
bool LogBell::watch() const {
    constexpr std::uint32_t kDirectory =
        IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
    for (const std::string& key : keys_) {
        ::inotify_add_watch(inotify_.get(), log_path(dir_, key).c_str(),
                            IN_MODIFY | IN_DONT_FOLLOW);
    }
    return ::inotify_add_watch(inotify_.get(), dir_.c_str(), kDirectory) >= 0;
}

void LogBell::answer() {
    alignas(inotify_event) char events[4096];
    while (::read(inotify_.get(), events, sizeof events) > 0) {
    }
    watch();
}

struct LogFollower::Impl {
    struct Followed {
        std::string key;
        LogTail tail;
    };
    explicit Impl(LogBell b) : bell(std::move(b)) {}

    std::string dir;
    LogBell bell;
    std::vector<Followed> followed;
    std::vector<LogLine> first; // the last lines at the beginning, not handed out yet
};

LogFollower::LogFollower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogFollower::~LogFollower() = default;
LogFollower::LogFollower(LogFollower&&) noexcept = default;
LogFollower& LogFollower::operator=(LogFollower&&) noexcept = default;

Result<LogFollower> LogFollower::open(const std::string& dir, const std::vector<std::string>& keys,
                                      std::size_t last_n) {
    try {
        auto bell = LogBell::open(dir, keys);
        if (!bell) return bell.error();
        auto impl = std::make_unique<Impl>(std::move(*bell));
        impl->dir = dir;
        for (const std::string& key : keys) {
            auto last = read_last(dir, key, last_n, false);
            if (!last) return last.error();
            for (std::string& line : last->lines) impl->first.push_back({key, std::move(line)});
            impl->followed.push_back({key, LogTail(dir, key, last->end)});
        }
        return LogFollower(std::move(impl));
    } catch (const std::exception& e) {
        return Error{"cannot follow logs in " + dir + ": " + e.what(), 0};
    }
}

Result<std::vector<LogLine>> LogFollower::poll() {
    try {
        impl_->bell.answer();
        std::vector<LogLine> lines = std::move(impl_->first);
        impl_->first.clear();
        for (auto& [key, tail] : impl_->followed) {
            auto fresh = tail.poll();
            if (!fresh && lines.empty()) return fresh.error();
            if (!fresh) continue;
            for (std::string& text : *fresh) lines.push_back({key, std::move(text)});
        }
        return lines;
    } catch (const std::exception& e) {
        return Error{"cannot follow logs in " + impl_->dir + ": " + e.what(), 0};
    }
}

int LogFollower::wait_fd() const { return impl_->bell.wait_fd(); }

} // namespace keepwell
