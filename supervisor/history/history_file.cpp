#include "supervisor/history/history_impl.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell::history {

namespace {

constexpr int kKept = 5;                         // damaged files
constexpr std::int64_t kWholeCheck = 32LL << 20; // bytes; of a larger file only the head is checked

Error os_error(const std::string& what) { return {what + ": " + std::strerror(errno), errno}; }

// SQLite would make it readable for everybody; its log gets the rights of the file.
Status make_file(const std::string& path) {
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    const int fd = ::open(path.c_str(), flags, 0640);
    if (fd < 0) return os_error("cannot open " + path);
    struct stat st {};
    const bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ::close(fd);
    if (!regular) return Error{"cannot open " + path + ": it is no regular file", EINVAL};
    return Done{};
}

// Throws SqlError with SQLITE_CORRUPT when it is not whole.
void check_whole(Database& db) {
    const std::int64_t bytes = db.number("PRAGMA page_count") * db.number("PRAGMA page_size");
    const std::string found =
        db.text(bytes <= kWholeCheck ? "PRAGMA quick_check(1)" : "PRAGMA quick_check(unit)");
    if (found != "ok") throw SqlError(SQLITE_CORRUPT, found);
}

std::unique_ptr<Database> open_database(const std::string& path) {
    auto db = std::make_unique<Database>(path);
    db->run(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;"
        "PRAGMA journal_size_limit = 1048576;"
        "PRAGMA synchronous = NORMAL; PRAGMA mmap_size = 0; PRAGMA trusted_schema = OFF;");
    if (db->text("PRAGMA journal_mode = WAL") != "wal")
        throw SqlError(SQLITE_IOERR, "this file system does not let it keep a write-ahead log");
    return db;
}

} // namespace

Result<std::string> HistoryFile::move_aside(const std::string& path, const std::string& suffix) {
    std::string to = path + "." + suffix;
    if (suffix == "corrupt") {
        int n = 1;
        while (n < kKept && access((to + "-" + std::to_string(n)).c_str(), F_OK) == 0) ++n;
        // All places are taken: the first is the oldest, the others move up.
        const bool taken = access((to + "-" + std::to_string(n)).c_str(), F_OK) == 0;
        for (int i = 1; taken && i < kKept; ++i)
            for (const char* part : {"", "-wal"})
                (void)std::rename((to + "-" + std::to_string(i + 1) + part).c_str(),
                                  (to + "-" + std::to_string(i) + part).c_str());
        to += "-" + std::to_string(n);
    }
    // Its log first: with another file it would be a danger, without it the file is only older.
    (void)std::rename((path + "-wal").c_str(), (to + "-wal").c_str());
    (void)unlink((path + "-shm").c_str());
    if (std::rename(path.c_str(), to.c_str()) != 0) return os_error("cannot move " + path);
    return to;
}

Result<std::unique_ptr<HistoryFile>> HistoryFile::open(const std::string& path,
                                                       std::vector<std::string>& notes) {
    for (int attempt = 0;; ++attempt) {
        if (const Status made = make_file(path); !made) return made.error();
        std::string suffix, why;
        try {
            auto db = open_database(path);
            const std::int64_t version = db->number("PRAGMA user_version");
            if (version <= kSchemaVersion) {
                check_whole(*db);
                migrate(*db);
                auto impl = std::make_unique<Impl>(path, std::move(db));
                return std::unique_ptr<HistoryFile>(new HistoryFile(std::move(impl)));
            }
            suffix = "version-" + std::to_string(version);
            why = "it was written by a later keepwell";
        } catch (const SqlError& e) {
            if (!e.is_damage())
                return Error{"cannot open " + path + ": " + e.what(), e.is_full() ? kFull : 0};
            suffix = "corrupt";
            why = std::string("it is damaged (") + e.what() + ")";
        }
        if (attempt > 0) return Error{"cannot open " + path + ": " + why, 0};
        const auto moved = move_aside(path, suffix);
        if (!moved) return moved.error();
        notes.push_back("cannot use " + path + ": " + why + "; it is now " + *moved +
                        " and a new history begins");
    }
}

HistoryFile::HistoryFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HistoryFile::~HistoryFile() = default;

template <class T, class F>
Result<T> HistoryFile::guarded(const char* what, const F& f) {
    try {
        return f();
    } catch (const SqlError& e) {
        const int code = e.is_damage() ? kDamaged : e.is_full() ? kFull : 0;
        return Error{std::string("cannot ") + what + " " + impl_->path + ": " + e.what(), code};
    }
}

Status HistoryFile::write(const Batch& batch) {
    return guarded<Done>("write", [&]() -> Status {
        impl_->forget_ids(); // a transaction that failed may have made some
        Transaction all(*impl_->db);
        for (const MinuteRow& row : batch.minutes) {
            const std::int64_t unit = impl_->id(row.key, batch.now);
            impl_->add(impl_->minute, row.minute, unit, row.roll_up);
            impl_->add(impl_->hour, row.minute / 60, unit, row.roll_up);
        }
        for (const EventRow& e : batch.events) impl_->add(e);
        std::int64_t n = 0;
        for (const ChangeRow& c : batch.changes) impl_->add(c, impl_->id(c.key, batch.now), ++n);
        if (batch.step) impl_->add(*batch.step);
        all.commit();
        impl_->keep_ids();
        return Done{};
    });
}

Status HistoryFile::trim(WallTime now, const Limits& limits) {
    return guarded<Done>("shorten", [&]() -> Status {
        impl_->trim(now, limits);
        return Done{};
    });
}

Status HistoryFile::checkpoint() {
    return guarded<Done>("write", [&]() -> Status {
        impl_->checkpoint();
        return Done{};
    });
}

Result<std::uint64_t> HistoryFile::size() {
    return guarded<std::uint64_t>("read",
                                  [&]() -> Result<std::uint64_t> { return impl_->bytes_in_use(); });
}

Result<Story> HistoryFile::story(const std::string& key, Range range, WallTime now) {
    return guarded<Story>("read", [&]() -> Result<Story> {
        const Cut cut = cut_of(range);
        const std::int64_t now_s = now.ms / 1000;
        const std::int64_t from = (now_s / cut.step_s - (cut.points - 1)) * cut.step_s;
        Story story{key, range, {}, {}};
        const std::int64_t unit = impl_->known_id(key).value_or(-1);
        Statement& rows = cut.row_s == 60 ? impl_->minute_of : impl_->hour_of;
        story.points.reserve(static_cast<std::size_t>(cut.points));
        for (std::int64_t p = 0; p < cut.points; ++p) {
            const std::int64_t at = from + p * cut.step_s;
            Point point{WallTime{at * 1000}, {}};
            if (unit >= 0)
                for (std::int64_t s = at; s < at + cut.step_s; s += cut.row_s)
                    impl_->read(rows, s / cut.row_s, unit, point.roll_up);
            story.points.push_back(point);
        }
        if (unit >= 0) story.changes = impl_->changes_of(key, unit, WallTime{from * 1000});
        return story;
    });
}

Result<std::vector<EventRow>> HistoryFile::events(WallTime since, std::uint64_t sequence,
                                                  std::size_t limit) {
    return guarded<std::vector<EventRow>>("read", [&]() -> Result<std::vector<EventRow>> {
        return impl_->events_since(since, sequence, limit);
    });
}

Result<WallTime> HistoryFile::last_event(WallTime now) {
    return guarded<WallTime>("read", [&]() -> Result<WallTime> {
        Statement last(*impl_->db, "SELECT max(time) FROM event WHERE time <= ?1");
        last.bind(1, now.ms);
        return WallTime{last.step() ? last.integer(0) : 0};
    });
}

Result<Uptimes> HistoryFile::uptimes(WallTime now, bool hour_only) {
    return guarded<Uptimes>("read", [&]() -> Result<Uptimes> {
        std::map<std::int64_t, Uptime> sums; // by unit
        const auto count = [&](const std::string& table, std::int64_t bucket_ms, std::size_t first,
                               std::size_t last, const std::array<std::int64_t, kWindows>& from) {
            Statement all(*impl_->db, "SELECT bucket, unit, ok + degraded, down FROM " + table +
                                          " WHERE bucket >= ?1 AND bucket <= ?2");
            all.bind(1, from[last]).bind(2, now.ms / bucket_ms);
            while (all.step()) {
                Uptime& sum = sums[all.integer(1)];
                for (std::size_t w = first; w <= last; ++w) {
                    if (all.integer(0) < from[w]) continue;
                    sum[w].up_ms += all.integer(2);
                    sum[w].down_ms += all.integer(3);
                }
            }
        };
        const std::int64_t minute = now.ms / kMinuteMs, hour = now.ms / kHourMs;
        const std::array<std::int64_t, kWindows> from = {minute - 59, hour - 23, hour - 24 * 7 + 1,
                                                         hour - 24 * 30 + 1};
        count("minute", kMinuteMs, 0, 0, from);
        if (!hour_only) count("hour", kHourMs, 1, 3, from);
        Uptimes named;
        Statement units(*impl_->db, "SELECT id, key FROM unit");
        while (units.step())
            if (const auto it = sums.find(units.integer(0)); it != sums.end())
                named.emplace(units.text(1), it->second);
        return named;
    });
}

Result<Steps> HistoryFile::steps(WallTime now, Duration step, std::size_t most) {
    return guarded<Steps>("read",
                          [&]() -> Result<Steps> { return impl_->steps_until(now, step, most); });
}

} // namespace keepwell::history
