// A folder of its own for each test, batches to fill a history with, and a raw look into the file.
#pragma once

#include "supervisor/history/history_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sqlite3.h>
#include <string>
#include <vector>

namespace keepwell::history::test {

// 2026-01-31T12:00:00Z: an edge of a minute, an hour and no edge of a day.
inline constexpr std::int64_t kNoonS = 1'769'860'800;
inline constexpr WallTime kNoon{kNoonS * 1000};

inline WallTime after_noon(std::int64_t seconds) { return WallTime{(kNoonS + seconds) * 1000}; }

inline RollUp spent(Spent s, std::int64_t ms) {
    RollUp r;
    r.in(s) = ms;
    return r;
}

inline Batch minutes(const std::string& key, std::int64_t first_s, int count, const RollUp& r) {
    Batch b;
    for (int i = 0; i < count; ++i) b.minutes.push_back({key, first_s / 60 + i, r});
    b.now = WallTime{(first_s + count * 60) * 1000};
    return b;
}

inline EventRow event(std::uint64_t sequence, WallTime time, const std::string& text) {
    return {sequence, time, "web", "down", "", text, ""};
}

class Folder : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "kwh-XXXXXX").string();
        folder = mkdtemp(pattern.data());
        path = folder + "/history.db";
    }
    void TearDown() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    std::unique_ptr<HistoryFile> open() {
        auto file = HistoryFile::open(path, notes);
        EXPECT_TRUE(file) << (file ? "" : file.error().message);
        return file ? std::move(*file) : nullptr;
    }
    // Runs SQL on the file behind its back; the number of the last row's first column.
    static std::int64_t sql(const std::string& file, const std::string& text) {
        sqlite3* db = nullptr;
        EXPECT_EQ(sqlite3_open(file.c_str(), &db), SQLITE_OK);
        std::int64_t value = 0;
        char* error = nullptr;
        sqlite3_exec(
            db, text.c_str(),
            [](void* to, int n, char** columns, char**) {
                if (n > 0 && columns[0] != nullptr)
                    *static_cast<std::int64_t*>(to) = std::stoll(columns[0]);
                return 0;
            },
            &value, &error);
        EXPECT_EQ(error, nullptr) << text << ": " << error;
        sqlite3_close(db);
        return value;
    }
    std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(folder))
            names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }

    std::string folder, path;
    std::vector<std::string> notes;
};

} // namespace keepwell::history::test
