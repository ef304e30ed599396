#include "supervisor/history/schema.h"

#include "supervisor/history/history_file.h"

#include <array>
#include <string_view>

namespace keepwell::history {

namespace {

constexpr std::array<std::string_view, 8> kSums = {"ok",     "degraded", "down",     "unknown",
                                                   "paused", "checks",   "failures", "restarts"};
constexpr std::array<std::string_view, 3> kFigures = {"latency", "cpu", "memory"};
static_assert(kSums.size() + kFigures.size() * 4 == kRollUpColumns);

constexpr std::string_view kRollUp =
    "bucket INTEGER NOT NULL, unit INTEGER NOT NULL,"
    "ok INTEGER, degraded INTEGER, down INTEGER, unknown INTEGER, paused INTEGER,"
    "checks INTEGER, failures INTEGER, restarts INTEGER,"
    "latency_n INTEGER, latency_min INTEGER, latency_max INTEGER, latency_sum INTEGER,"
    "cpu_n INTEGER, cpu_min INTEGER, cpu_max INTEGER, cpu_sum INTEGER,"
    "memory_n INTEGER, memory_min INTEGER, memory_max INTEGER, memory_sum INTEGER,"
    "PRIMARY KEY (bucket, unit)) WITHOUT ROWID;";

// Version 1: roll-ups and events.
void make_first(Database& db) {
    db.run("CREATE TABLE unit (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
           " seen INTEGER NOT NULL);"
           "CREATE TABLE event (time INTEGER NOT NULL, sequence INTEGER NOT NULL,"
           " service TEXT, kind TEXT, subject TEXT, text TEXT, detail TEXT,"
           " PRIMARY KEY (time, sequence)) WITHOUT ROWID;");
    for (const char* table : {"minute", "hour"})
        db.run(("CREATE TABLE " + std::string(table) + " (" + std::string(kRollUp)).c_str());
}

// Version 2: changes, and the steps of the status document.
void add_changes(Database& db) {
    db.run("CREATE TABLE change (unit INTEGER NOT NULL, time INTEGER NOT NULL,"
           " n INTEGER NOT NULL, state TEXT, verdict TEXT, reason TEXT,"
           " PRIMARY KEY (unit, time, n)) WITHOUT ROWID;"
           "CREATE TABLE step (time INTEGER PRIMARY KEY, letters BLOB NOT NULL);");
}

} // namespace

void migrate(Database& db) {
    const std::int64_t from = db.number("PRAGMA user_version");
    if (from == kSchemaVersion) return;
    Transaction all(db);
    if (from < 1) make_first(db);
    if (from < 2) add_changes(db);
    db.run(("PRAGMA user_version = " + std::to_string(kSchemaVersion)).c_str());
    all.commit();
}

std::string insert_roll_up(const std::string& table) {
    std::string names = "bucket, unit", marks = "?1, ?2", sets;
    int next = 3;
    const auto add = [&](const std::string& column, const std::string& sum) {
        names += ", " + column;
        marks += ", ?" + std::to_string(next++);
        sets += (sets.empty() ? "" : ", ") + column + " = " + sum;
    };
    for (const auto sum : kSums) {
        const std::string c(sum);
        add(c, c + " + excluded." + c);
    }
    for (const auto figure : kFigures) {
        const std::string f(figure), n = f + "_n";
        add(n, n + " + excluded." + n);
        for (const std::string side : {"_min", "_max"}) {
            const std::string c = f + side;
            add(c, "CASE WHEN " + n + " = 0 THEN excluded." + c + " WHEN excluded." + n +
                       " = 0 THEN " + c + " ELSE " + side.substr(1) + "(" + c + ", excluded." + c +
                       ") END");
        }
        add(f + "_sum", f + "_sum + excluded." + f + "_sum");
    }
    return "INSERT INTO " + table + " (" + names + ") VALUES (" + marks +
           ") ON CONFLICT (bucket, unit) DO UPDATE SET " + sets;
}

std::string select_roll_up(const std::string& table) {
    std::string names;
    for (const auto sum : kSums) names += (names.empty() ? "" : ", ") + std::string(sum);
    for (const auto figure : kFigures)
        for (const char* part : {"_n", "_min", "_max", "_sum"})
            names += ", " + std::string(figure) + part;
    return "SELECT " + names + " FROM " + table + " WHERE bucket = ?1 AND unit = ?2";
}

} // namespace keepwell::history
