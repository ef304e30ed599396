#include "supervisor/history/history_impl.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <sqlite3.h>

namespace keepwell::history {

namespace {

constexpr std::size_t kChangesShown = 200;
constexpr int kStepsKept = 60;
constexpr std::size_t kStepBytes = 5; // a unit's number and its letter

void bind(Statement& s, int& at, const Figure& f) {
    for (const std::int64_t v : {static_cast<std::int64_t>(f.count), f.min, f.max, f.sum})
        s.bind(at++, v);
}

Figure figure(const Statement& s, int& at) {
    Figure f;
    f.count = static_cast<std::uint32_t>(s.integer(at++));
    f.min = s.integer(at++);
    f.max = s.integer(at++);
    f.sum = s.integer(at++);
    return f;
}

using Letters = std::map<std::int64_t, char>; // by unit

Letters letters_of(std::string_view bytes) {
    Letters letters;
    for (std::size_t i = 0; i + kStepBytes <= bytes.size(); i += kStepBytes) {
        std::uint32_t unit = 0;
        std::memcpy(&unit, bytes.data() + i, sizeof unit);
        letters[unit] = bytes[i + sizeof unit];
    }
    return letters;
}

} // namespace

HistoryFile::Impl::Impl(std::string file, std::unique_ptr<Database> database)
    : path(std::move(file)),
      db(std::move(database)),
      minute(*db, insert_roll_up("minute")),
      hour(*db, insert_roll_up("hour")),
      minute_of(*db, select_roll_up("minute")),
      hour_of(*db, select_roll_up("hour")),
      find_unit(*db, "SELECT id FROM unit WHERE key = ?1"),
      make_unit(*db, "INSERT INTO unit (key, seen) VALUES (?1, ?2)"),
      seen_unit(*db, "UPDATE unit SET seen = ?2 WHERE id = ?1"),
      add_event(*db, "INSERT OR IGNORE INTO event (time, sequence, service, kind, subject, text,"
                     " detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
      add_change(*db, "INSERT OR REPLACE INTO change (unit, time, n, state, verdict, reason)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
      add_step(*db, "INSERT OR REPLACE INTO step (time, letters) VALUES (?1, ?2)") {
    // Also what takes the place of SQLite's own checkpoints: what fails there would look like a
    // failed write.
    sqlite3_wal_hook(
        db->raw(),
        [](void* pages, sqlite3*, const char*, int n) {
            *static_cast<int*>(pages) = n;
            return SQLITE_OK;
        },
        &log_pages);
}

std::optional<std::int64_t> HistoryFile::Impl::known_id(const std::string& key) {
    if (const auto it = ids.find(key); it != ids.end()) return it->second;
    find_unit.bind(1, key);
    if (!find_unit.step()) return std::nullopt;
    const std::int64_t found = find_unit.integer(0);
    find_unit.done();
    return found;
}

std::int64_t HistoryFile::Impl::id(const std::string& key, WallTime now) {
    if (const auto it = ids.find(key); it != ids.end()) return it->second;
    auto found = known_id(key);
    if (found) {
        seen_unit.bind(1, *found).bind(2, now.ms).run();
    } else {
        make_unit.bind(1, key).bind(2, now.ms).run();
        found = sqlite3_last_insert_rowid(db->raw());
    }
    ids.emplace(key, *found);
    return *found;
}

void HistoryFile::Impl::add(Statement& to, std::int64_t bucket, std::int64_t unit,
                            const RollUp& r) {
    to.bind(1, bucket).bind(2, unit);
    int at = 3;
    for (const std::int64_t ms : r.ms) to.bind(at++, ms);
    for (const std::int64_t n : {r.checks, r.failures, r.restarts}) to.bind(at++, n);
    for (const Figure* f : {&r.latency_us, &r.cpu_hundredths, &r.memory_kib}) bind(to, at, *f);
    to.run();
}

void HistoryFile::Impl::read(Statement& from, std::int64_t bucket, std::int64_t unit, RollUp& to) {
    from.bind(1, bucket).bind(2, unit);
    if (!from.step()) return;
    RollUp r;
    int at = 0;
    for (auto& ms : r.ms) ms = from.integer(at++);
    for (auto* n : {&r.checks, &r.failures, &r.restarts})
        *n = static_cast<std::uint32_t>(from.integer(at++));
    for (Figure* f : {&r.latency_us, &r.cpu_hundredths, &r.memory_kib}) *f = figure(from, at);
    from.done();
    to.merge(r);
}

void HistoryFile::Impl::add(const EventRow& e) {
    add_event.bind(1, e.time.ms).bind(2, static_cast<std::int64_t>(e.sequence));
    int at = 3;
    for (const auto* text : {&e.service, &e.kind, &e.subject, &e.text, &e.detail})
        add_event.bind(at++, *text);
    add_event.run();
}

void HistoryFile::Impl::add(const ChangeRow& c, std::int64_t unit, std::int64_t n) {
    add_change.bind(1, unit).bind(2, c.time.ms).bind(3, n);
    add_change.bind(4, c.state).bind(5, c.verdict).bind(6, c.reason).run();
}

void HistoryFile::Impl::add(const StepRow& step) {
    std::string bytes;
    bytes.reserve(step.letters.size() * kStepBytes);
    for (const auto& [key, letter] : step.letters) {
        const auto unit = static_cast<std::uint32_t>(id(key, step.time));
        bytes.append(reinterpret_cast<const char*>(&unit), sizeof unit);
        bytes += letter;
    }
    add_step.bind(1, step.time.ms).bind_blob(2, bytes).run();
    // A clock that was ahead has left some that would push out all that come.
    Statement(*db, "DELETE FROM step WHERE time > ?1").bind(1, step.time.ms).run();
    db->run(("DELETE FROM step WHERE time NOT IN (SELECT time FROM step ORDER BY time DESC LIMIT " +
             std::to_string(kStepsKept) + ")")
                .c_str());
}

std::vector<ChangeRow> HistoryFile::Impl::changes_of(const std::string& key, std::int64_t unit,
                                                     WallTime from) {
    Statement newest(*db, "SELECT time, state, verdict, reason FROM change WHERE unit = ?1 AND"
                          " time >= ?2 ORDER BY time DESC, n DESC LIMIT ?3");
    newest.bind(1, unit).bind(2, from.ms).bind(3, static_cast<std::int64_t>(kChangesShown));
    std::vector<ChangeRow> changes;
    while (newest.step())
        changes.push_back({WallTime{newest.integer(0)}, key, std::string(newest.text(1)),
                           std::string(newest.text(2)), std::string(newest.text(3))});
    std::reverse(changes.begin(), changes.end());
    return changes;
}

std::vector<EventRow> HistoryFile::Impl::events_since(WallTime since, std::uint64_t sequence,
                                                      std::size_t limit) {
    Statement rows(*db, "SELECT time, sequence, service, kind, subject, text, detail FROM event"
                        " WHERE (time, sequence) > (?1, ?2) ORDER BY time, sequence LIMIT ?3");
    rows.bind(1, since.ms).bind(2, static_cast<std::int64_t>(sequence));
    rows.bind(3, static_cast<std::int64_t>(limit));
    std::vector<EventRow> events;
    while (rows.step()) {
        EventRow e;
        e.time = WallTime{rows.integer(0)};
        e.sequence = static_cast<std::uint64_t>(rows.integer(1));
        int at = 2;
        for (auto* text : {&e.service, &e.kind, &e.subject, &e.text, &e.detail})
            *text = rows.text(at++);
        events.push_back(std::move(e));
    }
    return events;
}

Steps HistoryFile::Impl::steps_until(WallTime now, Duration step, std::size_t most) {
    const std::int64_t step_ms = to_ms(step);
    const std::int64_t oldest = now.ms - step_ms * static_cast<std::int64_t>(most);
    Statement rows(*db, "SELECT time, letters FROM step WHERE time > ?1 AND time <= ?2"
                        " ORDER BY time");
    rows.bind(1, oldest).bind(2, now.ms);
    std::vector<Letters> columns;
    Steps steps;
    while (rows.step()) {
        const std::int64_t at = rows.integer(0);
        // Steps that nobody made, told from steps that came a little late by half a step.
        if (steps.last.ms != 0)
            for (auto n = (at - steps.last.ms + step_ms / 2) / step_ms; n > 1; --n)
                columns.emplace_back();
        steps.last = WallTime{at};
        columns.push_back(letters_of(rows.text(1)));
    }
    if (steps.last.ms == 0) return steps;
    for (auto n = (now.ms - steps.last.ms) / step_ms; n > 0; --n) columns.emplace_back();
    if (columns.size() > most)
        columns.erase(columns.begin(), columns.end() - static_cast<std::ptrdiff_t>(most));
    Statement units(*db, "SELECT id, key FROM unit");
    while (units.step()) {
        std::string letters;
        for (const Letters& column : columns) {
            const auto it = column.find(units.integer(0));
            if (it != column.end())
                letters += it->second;
            else if (!letters.empty()) // before its first step there was no such unit
                letters += 'X';
        }
        if (!letters.empty()) steps.letters.emplace(units.text(1), std::move(letters));
    }
    return steps;
}

} // namespace keepwell::history
