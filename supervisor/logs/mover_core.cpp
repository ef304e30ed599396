#include "supervisor/logs/mover_core.h"

#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <system_error>

namespace keepwell {
namespace {

constexpr int kBatch = 16; // turns between two looks at what was posted
constexpr std::int64_t kReportEvery = 1000;
constexpr int kMomentMs = 5;
constexpr std::uint64_t kWakeId = 0;
// Pipes that are made larger when each counts against the user's quota (16,384 pages by default).
constexpr int kLargePipesOfUsers = 64;
constexpr const char* kUnowned = "unowned"; // staged bytes whose owner word was lost

std::int64_t now_ms() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

std::size_t bytes_in(int pipe) {
    int n = 0;
    return ::ioctl(pipe, FIONREAD, &n) == 0 && n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool is_pipe(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) != 0 || S_ISFIFO(info.st_mode); // not known: it will show
}

bool is_finished(int pipe) { // empty, and nobody can write any more
    pollfd p{pipe, POLLIN, 0};
    return ::poll(&p, 1, 0) == 1 && (p.revents & POLLIN) == 0;
}

void make_large(int pipe) {
    if (::fcntl(pipe, F_GETPIPE_SZ) < static_cast<int>(kTurnBytes)) {
        ::fcntl(pipe, F_SETPIPE_SZ, static_cast<int>(kTurnBytes));
    }
}

ssize_t splice_some(int from, int to, std::size_t bytes) {
    ssize_t n = 0;
    do {
        n = ::splice(from, nullptr, to, nullptr, bytes, SPLICE_F_NONBLOCK);
    } while (n < 0 && errno == EINTR);
    return n;
}

} // namespace

MoverCore::MoverCore(LogMover::Options options)
    : options_(std::move(options)),
      stage_read_(options_.stage_read),
      stage_write_(options_.stage_write),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {
    make_large(stage_write_.get());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kWakeId;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot carry logs");
}

void MoverCore::drain_predecessor() {
    if (const std::size_t left = bytes_in(stage_read_.get()); left > 0) {
        const char* const word = options_.owner->key;
        std::string key(word, ::strnlen(word, sizeof options_.owner->key));
        if (!is_log_key(key)) key = kUnowned;
        const auto entry = entry_of(key);
        const std::int64_t now = now_ms();
        entry->second.file.take(stage_read_.get(), left, now);
        entry->second.dropped += discard(stage_read_.get(), bytes_in(stage_read_.get()));
        trouble_ = entry->second.file.troubled();
        tell_changes(entry, now);
        release(entry);
    }
    set_owner({});
}

void MoverCore::wait_and_move(const std::atomic<bool>& stop) {
    epoll_event events[kBatch];
    const int count = ::epoll_wait(epoll_.get(), events, kBatch, wait_time());
    for (int i = 0; i < count && !stop; ++i) {
        if (events[i].data.u64 == kWakeId) {
            eventfd_t ignored = 0;
            ::eventfd_read(wake_.get(), &ignored);
            continue;
        }
        const auto source = sources_.find(events[i].data.u64);
        if (source != sources_.end()) turn(source);
    }
    if (trouble_) look_after_trouble();
}

void MoverCore::wake() const { ::eventfd_write(wake_.get(), 1); }

MoverCore::Entries::iterator MoverCore::entry_of(const std::string& key) {
    return entries_.try_emplace(key, options_.directory, key, finder_).first;
}

void MoverCore::add(const LogSource& given, Fd pipe) {
    if (!is_log_key(given.key)) return refuse(given, "this key cannot name a file");
    if (!is_pipe(pipe.get())) return refuse(given, "not a pipe");
    if (::geteuid() == 0 || large_pipes_++ < kLargePipesOfUsers) make_large(pipe.get());
    const auto entry = entry_of(given.key);
    configure(given.key, given.spec);
    entry->second.tally = given.tally;
    const std::uint64_t id = ++last_id_;
    const auto source =
        sources_.emplace(id, Source{entry, given.generation, std::move(pipe), true}).first;
    ++entry->second.sources;
    if (resume(id, source->second)) return;
    const int error = errno;
    close(source);
    release(entry);
    refuse(given, std::generic_category().message(error));
}

void MoverCore::refuse(const LogSource& source, const std::string& why) {
    LogReport report;
    report.key = source.key;
    report.generation = source.generation;
    report.error = "cannot capture the output of \"" + source.key + "\": " + why;
    tell(std::move(report));
}

void MoverCore::configure(const std::string& key, const LogSpec& spec) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) return;
    entry->second.file.configure(spec);
    entry->second.on_error = spec.on_error;
    if (spec.on_error == LogOnError::Block) return;
    for (auto& [id, source] : sources_) {
        if (source.entry == entry) resume(id, source);
    }
}

void MoverCore::remove(const std::string& key) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) return;
    move_present(key);
    for (auto it = sources_.begin(); it != sources_.end();) {
        if (it->second.entry != entry) {
            ++it;
            continue;
        }
        const int pipe = it->second.pipe.get();
        if (entry->second.file.failing()) count(entry->second, 0, discard(pipe, bytes_in(pipe)));
        it = close(it);
    }
    tell_changes(entry, now_ms());
    entries_.erase(entry);
}

void MoverCore::move_present(const std::string& key) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) return;
    for (auto& [id, source] : sources_) {
        if (source.entry != entry) continue;
        const auto capacity =
            static_cast<std::size_t>(std::max(::fcntl(source.pipe.get(), F_GETPIPE_SZ), 1));
        // A turn moves as many pages as fit into the staging pipe, which may be the smaller one.
        const auto stage =
            static_cast<std::size_t>(std::max(::fcntl(stage_read_.get(), F_GETPIPE_SZ), 1));
        std::size_t turns = capacity / std::min(stage, kTurnBytes) + 1;
        while (turns-- > 0 && move_some(source) == Moved::Something) {
        }
    }
    tell_changes(entry, now_ms());
}

void MoverCore::pause(Source& source) {
    // Not an empty event mask: a hang-up is reported with any mask, again and again.
    if (!source.paused) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, source.pipe.get(), nullptr);
    source.paused = true;
}

bool MoverCore::resume(std::uint64_t id, Source& source) {
    if (!source.paused) return true;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    source.paused = ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, source.pipe.get(), &event) != 0;
    return !source.paused;
}

MoverCore::Sources::iterator MoverCore::close(Sources::iterator source) {
    // The keeper holds the same open file description, so close() alone would leave it in the set.
    pause(source->second);
    --source->second.entry->second.sources;
    return sources_.erase(source);
}

void MoverCore::release(Entries::iterator entry) {
    if (entry->second.sources == 0 && !entry->second.file.troubled()) entries_.erase(entry);
}

void MoverCore::turn(Sources::iterator source) {
    if (source->second.paused) return; // by an earlier turn of the same batch
    const auto entry = source->second.entry;
    const Moved moved = move_some(source->second);
    if (moved == Moved::Held) pause(source->second);
    const LogFile& file = entry->second.file;
    if (file.troubled() || file.error() != entry->second.reported_error) {
        tell_changes(entry, now_ms());
    }
    if (moved != Moved::Eof) return;

    LogReport report;
    report.key = entry->first;
    report.dropped_bytes = entry->second.dropped;
    report.error = file.error();
    report.eof = true;
    report.generation = source->second.generation;
    close(source);
    release(entry);
    tell(std::move(report));
}

MoverCore::Moved MoverCore::move_some(Source& source) {
    Entry& entry = source.entry->second;
    const Moved moved =
        entry.on_error == LogOnError::Block ? move_directly(source) : move_staged(source);
    if (entry.file.troubled()) trouble_ = true;
    if (entry.file.take_rotated() && options_.rotated) options_.rotated(source.entry->first);
    return moved;
}

MoverCore::Moved MoverCore::move_staged(Source& source) {
    Entry& entry = source.entry->second;
    set_owner(source.entry->first);
    const ssize_t n = splice_some(source.pipe.get(), stage_write_.get(), kTurnBytes);
    // Only an end is an end: what the kernel cannot do now (ENOMEM) it may do a moment later.
    if (n < 0 && errno != EAGAIN) ::poll(nullptr, 0, kMomentMs);
    if (n > 0) {
        const auto staged = static_cast<std::size_t>(n);
        const std::size_t written = entry.file.take(stage_read_.get(), staged, now_ms());
        count(entry, written, written < staged ? discard(stage_read_.get(), staged - written) : 0);
    }
    set_owner({});
    if (n > 0) return Moved::Something;
    return n < 0 ? Moved::Nothing : Moved::Eof;
}

MoverCore::Moved MoverCore::move_directly(Source& source) {
    Entry& entry = source.entry->second;
    const std::size_t present = bytes_in(source.pipe.get());
    if (present == 0) return is_finished(source.pipe.get()) ? Moved::Eof : Moved::Nothing;
    count(entry, entry.file.take(source.pipe.get(), std::min(present, kTurnBytes), now_ms()), 0);
    return entry.file.failing() ? Moved::Held : Moved::Something;
}

void MoverCore::count(Entry& entry, std::size_t written, std::size_t dropped) {
    entry.dropped += dropped;
    if (!entry.tally) return;
    entry.tally->written.fetch_add(written, std::memory_order_relaxed);
    entry.tally->dropped.fetch_add(dropped, std::memory_order_relaxed);
}

std::size_t MoverCore::discard(int pipe, std::size_t bytes) {
    std::size_t gone = 0;
    while (gone < bytes) {
        const ssize_t n = splice_some(pipe, null_.get(), bytes - gone);
        if (n <= 0) break;
        gone += static_cast<std::size_t>(n);
    }
    return gone;
}

void MoverCore::set_owner(const std::string& key) {
    std::memcpy(options_.owner->key, key.c_str(), key.size() + 1);
    // What comes next is a system call; the word must be in memory before it.
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

int MoverCore::wait_time() const {
    if (!trouble_) return -1;
    const std::int64_t now = now_ms();
    std::int64_t wait = kReportEvery;
    for (const auto& [key, entry] : entries_) {
        if (entry.file.troubled()) wait = std::min(wait, entry.file.retry_at() - now);
    }
    return static_cast<int>(std::max<std::int64_t>(wait, 0));
}

void MoverCore::look_after_trouble() {
    const std::int64_t now = now_ms();
    trouble_ = false;
    for (auto it = entries_.begin(); it != entries_.end();) {
        const auto entry = it++;
        LogFile& file = entry->second.file;
        if (!file.troubled()) continue;
        file.retry(now);
        tell_changes(entry, now);
        if (file.troubled()) trouble_ = true;
        if (file.failing()) continue;
        for (auto& [id, source] : sources_) {
            if (source.entry == entry) resume(id, source);
        }
        release(entry);
    }
}

void MoverCore::tell_changes(Entries::iterator entry, std::int64_t now) {
    Entry& e = entry->second;
    const bool error_changed = e.file.error() != e.reported_error;
    const bool more_dropped = e.dropped != e.reported_dropped;
    if (!error_changed && !(more_dropped && now >= e.reported_at + kReportEvery)) return;
    e.reported_error = e.file.error();
    e.reported_dropped = e.dropped;
    e.reported_at = now;
    LogReport report;
    report.key = entry->first;
    report.dropped_bytes = e.dropped;
    report.error = e.file.error();
    tell(std::move(report));
}

void MoverCore::tell(LogReport report) {
    if (!options_.report) return;
    try {
        options_.report(std::move(report));
    } catch (...) { // a listener's trouble must not end the capture of everybody's output
        return;
    }
}

} // namespace keepwell
