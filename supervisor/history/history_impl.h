// The inside of HistoryFile: prepared statements and the rows they read and write. Throws SqlError.
#pragma once

#include "supervisor/history/history_file.h"
#include "supervisor/history/schema.h"
#include "supervisor/history/sqlite.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell::history {

struct HistoryFile::Impl {
    Impl(std::string path, std::unique_ptr<Database>);

    std::optional<std::int64_t> known_id(const std::string& key);
    std::int64_t id(const std::string& key, WallTime now); // made when it is new
    void keep_ids() { kept_ids = ids.size(); }
    void forget_ids() {
        if (ids.size() != kept_ids) ids.clear();
        kept_ids = ids.size();
    }

    static void add(Statement& to, std::int64_t bucket, std::int64_t unit, const RollUp&);
    void add(const EventRow&);
    void add(const ChangeRow&, std::int64_t unit, std::int64_t n);
    void add(const StepRow&);
    static void read(Statement& from, std::int64_t bucket, std::int64_t unit, RollUp& to);
    std::vector<ChangeRow> changes_of(const std::string& key, std::int64_t unit, WallTime from);
    std::vector<EventRow> events_since(WallTime since, std::uint64_t sequence, std::size_t limit);
    Steps steps_until(WallTime now, Duration step, std::size_t most);

    void trim(WallTime now, const Limits&);
    void trim_rows(std::int64_t before_minute, std::int64_t before_hour);
    void trim_hourly(WallTime now, const Limits&);
    void trim_size(WallTime now, const Limits&);
    void give_back();
    void checkpoint();
    std::uint64_t bytes_in_use();

    std::string path;
    std::unique_ptr<Database> db; // outlives the statements
    Statement minute, hour, minute_of, hour_of;
    Statement find_unit, make_unit, seen_unit, add_event, add_change, add_step;
    std::unordered_map<std::string, std::int64_t> ids;
    std::size_t kept_ids = 0;
    std::int64_t trimmed_hour = 0;
    int log_pages = 0;
};

} // namespace keepwell::history
