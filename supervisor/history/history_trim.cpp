// HistoryFile's half that keeps it small.
#include "supervisor/history/history_impl.h"

#include <algorithm>
#include <sqlite3.h>

namespace keepwell::history {

namespace {

// At most so much of what is old at a time, so that no transaction is long; much more than comes in
// meanwhile.
constexpr std::int64_t kMinutesAtOnce = 30, kHoursAtOnce = 12;
constexpr std::int64_t kPagesAtOnce = 512; // given back to the file system
constexpr int kLogPages = 512;             // then the log is moved into the file

std::int64_t count(Duration d, Duration unit) { return d / unit; }

} // namespace

std::uint64_t HistoryFile::Impl::bytes_in_use() {
    const std::int64_t pages =
        db->number("PRAGMA page_count") - db->number("PRAGMA freelist_count");
    return static_cast<std::uint64_t>(pages * db->number("PRAGMA page_size"));
}

void HistoryFile::Impl::trim_rows(std::int64_t before_minute, std::int64_t before_hour) {
    const auto shorten = [&](const char* table, std::int64_t before, std::int64_t at_once) {
        const std::string name(table);
        const std::int64_t oldest = db->number(("SELECT min(bucket) FROM " + name).c_str());
        if (oldest >= before) return;
        Statement gone(*db, "DELETE FROM " + name + " WHERE bucket < ?1");
        // After a long pause the front is a gap, so at_once says buckets that are there or not.
        gone.bind(1, std::min(before, oldest + at_once)).run();
    };
    shorten("minute", before_minute, kMinutesAtOnce);
    shorten("hour", before_hour, kHoursAtOnce);
}

// Events, changes and units: seldom enough to count them.
void HistoryFile::Impl::trim_hourly(WallTime now, const Limits& limits) {
    const std::int64_t oldest =
        now.ms - std::chrono::duration_cast<std::chrono::milliseconds>(limits.hour).count();
    for (const char* table : {"event", "change"})
        Statement(*db, std::string("DELETE FROM ") + table + " WHERE time < ?1")
            .bind(1, oldest)
            .run();
    Statement(*db, "DELETE FROM event WHERE (time, sequence) <= (SELECT time, sequence FROM event"
                   " ORDER BY time DESC, sequence DESC LIMIT 1 OFFSET ?1)")
        .bind(1, static_cast<std::int64_t>(limits.max_events))
        .run();
    Statement(*db, "DELETE FROM change WHERE time <= (SELECT time FROM change ORDER BY time DESC"
                   " LIMIT 1 OFFSET ?1)")
        .bind(1, static_cast<std::int64_t>(limits.max_changes))
        .run();
    // Whose last row is gone; the ones in use are seen again now.
    for (const auto& [key, unit] : ids) seen_unit.bind(1, unit).bind(2, now.ms).run();
    Statement(*db, "DELETE FROM unit WHERE seen < ?1").bind(1, oldest - 86'400'000).run();
}

// The oldest tenth of whatever there is, until it fits.
void HistoryFile::Impl::trim_size(WallTime now, const Limits& limits) {
    if (bytes_in_use() <= limits.max_size) return;
    for (const auto& [table, bucket_ms] :
         {std::pair<std::string, std::int64_t>("minute", kMinuteMs), {"hour", kHourMs}}) {
        const std::int64_t first = db->number(("SELECT min(bucket) FROM " + table).c_str());
        const std::int64_t newest = db->number(("SELECT max(bucket) FROM " + table).c_str());
        // What a clock that was wrong has put into the future is no measure of what is old.
        const std::int64_t today = now.ms / bucket_ms;
        const std::int64_t last = first < today ? std::min(newest, today) : newest;
        Statement(*db, "DELETE FROM " + table + " WHERE bucket < ?1")
            .bind(1, first + (last - first + 9) / 10)
            .run();
    }
    for (const std::string table : {"event", "change"}) {
        const std::int64_t tenth = (db->number(("SELECT count(*) FROM " + table).c_str()) + 9) / 10;
        Statement(*db, "DELETE FROM " + table + " WHERE time <= (SELECT time FROM " + table +
                           " ORDER BY time LIMIT 1 OFFSET ?1)")
            .bind(1, tenth)
            .run();
    }
}

// Free pages are used again; only when they are a good part of the file they go.
void HistoryFile::Impl::give_back() {
    const std::int64_t free = db->number("PRAGMA freelist_count");
    if (free < kPagesAtOnce || free < db->number("PRAGMA page_count") / 4) return;
    db->run(("PRAGMA incremental_vacuum(" + std::to_string(kPagesAtOnce) + ")").c_str());
}

void HistoryFile::Impl::trim(WallTime now, const Limits& limits) {
    const std::int64_t minute_now = now.ms / kMinuteMs, hour_now = now.ms / kHourMs;
    Transaction all(*db);
    trim_rows(minute_now - count(limits.minute, std::chrono::minutes(1)),
              hour_now - count(limits.hour, std::chrono::hours(1)));
    if (trimmed_hour != hour_now) trim_hourly(now, limits);
    trim_size(now, limits);
    all.commit();
    trimmed_hour = hour_now;
    give_back();
}

// Pages that a reader still needs stay; the next time they go.
void HistoryFile::Impl::checkpoint() {
    if (log_pages < kLogPages) return;
    const int code =
        sqlite3_wal_checkpoint_v2(db->raw(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if (code != SQLITE_OK && code != SQLITE_BUSY) db->fail(code);
}

} // namespace keepwell::history
