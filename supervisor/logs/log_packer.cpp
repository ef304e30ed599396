#include "supervisor/logs/log_packer.h"

#include "supervisor/logs/log_names.h"
#include "supervisor/logs/packed_log.h"

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <dirent.h>
#include <map>
#include <mutex>
#include <pthread.h>
#include <set>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace keepwell {
namespace {

// Everybody else comes first, but not for ever: a killed process is dead only when its last thread
// has run to its end, and one of SCHED_IDLE may wait for minutes on a busy host.
void stay_behind() {
    ::setpriority(PRIO_PROCESS, 0, 19); // of this thread only, on Linux
    constexpr int kThisThread = 1, kIdle = 3 << 13;
    ::syscall(SYS_ioprio_set, kThisThread, 0, kIdle);
}

bool exists(const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
}

} // namespace

struct LogPacker::Impl {
    Impl(std::string dir, Report r) : directory(std::move(dir)), report(std::move(r)) {}
    void run();
    void look_through();
    void pack(const std::string& key);
    void pack_one(const std::string& key, std::uint64_t sequence);
    void tell(const std::string& error);

    std::string directory;
    Report report;
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::map<std::string, PackPolicy> policies;
    std::set<std::string> queue;
    bool scan = false, busy = false;
    std::atomic<bool> stop{false};
    std::string told;
    std::thread thread;
};

void LogPacker::Impl::run() {
    stay_behind();
    std::unique_lock lock(mutex);
    while (!stop) {
        if (!scan && queue.empty()) {
            busy = false;
            changed.wait(lock);
            continue;
        }
        busy = true;
        if (scan) {
            scan = false;
            lock.unlock();
            look_through();
            lock.lock();
            continue;
        }
        const std::string key = queue.extract(queue.begin()).value();
        const auto policy = policies.find(key);
        if (policy == policies.end() || !policy->second.compress) continue;
        lock.unlock();
        pack(key);
        lock.lock();
    }
}

void LogPacker::Impl::look_through() {
    const auto close_dir = [](DIR* d) { ::closedir(d); };
    const std::unique_ptr<DIR, decltype(close_dir)> handle(::opendir(directory.c_str()), close_dir);
    if (!handle) return;
    std::set<std::string> found;
    while (const dirent* entry = ::readdir(handle.get())) {
        const std::string name = entry->d_name;
        const auto middle = name.rfind(".log.");
        if (middle == std::string::npos) continue;
        const std::string key = name.substr(0, middle);
        const std::string temporary = packed_temporary("");
        if (name.ends_with(".gz" + temporary)) {
            const std::string target = name.substr(0, name.size() - temporary.size());
            if (rotated_sequence(target, key)) ::unlink((directory + "/" + name).c_str());
        } else if (rotated_sequence(name, key) && !name.ends_with(".gz")) {
            found.insert(key);
        }
    }
    const std::lock_guard lock(mutex);
    queue.merge(found);
}

void LogPacker::Impl::pack(const std::string& key) {
    for (const std::uint64_t sequence : rotated_sequences(directory, key)) {
        if (stop) return;
        if (exists(rotated_path(directory, key, sequence))) pack_one(key, sequence);
    }
}

void LogPacker::Impl::pack_one(const std::string& key, std::uint64_t sequence) {
    const std::string plain = rotated_path(directory, key, sequence);
    const std::string target = packed_path(directory, key, sequence);
    const Status packed = pack_log(plain, target, stop);
    if (!packed) {
        if (packed.error().code != ECANCELED && packed.error().code != ENOENT) {
            tell(packed.error().message);
        }
        return;
    }
    tell({});
    // Deleted meanwhile, as too old: then what was made of it goes as well.
    if (::unlink(plain.c_str()) != 0 && errno == ENOENT) ::unlink(target.c_str());
}

void LogPacker::Impl::tell(const std::string& error) {
    if (error == told) return;
    told = error;
    if (error.empty() || !report) return;
    try {
        report(error);
    } catch (...) { // a listener's trouble is not ours
        return;
    }
}

LogPacker::LogPacker(std::string directory, Report report)
    : impl_(std::make_unique<Impl>(std::move(directory), std::move(report))) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    impl_->thread = std::thread([this] { impl_->run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(impl_->thread.native_handle(), "kw-pack");
}

LogPacker::~LogPacker() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stop = true;
    }
    impl_->changed.notify_all();
    impl_->thread.join();
}

void LogPacker::start() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->scan = true;
        impl_->busy = true;
    }
    impl_->changed.notify_all();
}

void LogPacker::set(const std::string& key, PackPolicy policy) {
    {
        const std::lock_guard lock(impl_->mutex);
        PackPolicy& known = impl_->policies.try_emplace(key, PackPolicy{false}).first->second;
        const bool newly = policy.compress && !known.compress;
        known = policy;
        if (!newly) return;
        impl_->queue.insert(key); // what was rotated before it was wanted
        impl_->busy = true;
    }
    impl_->changed.notify_all();
}

void LogPacker::forget(const std::string& key) {
    const std::lock_guard lock(impl_->mutex);
    impl_->policies.erase(key);
}

void LogPacker::rotated(const std::string& key) {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->queue.insert(key);
        impl_->busy = true;
    }
    impl_->changed.notify_all();
}

bool LogPacker::idle() const {
    const std::lock_guard lock(impl_->mutex);
    return !impl_->busy;
}

} // namespace keepwell
