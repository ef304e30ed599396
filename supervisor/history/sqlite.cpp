#include "supervisor/history/sqlite.h"

#include <sqlite3.h>

namespace keepwell::history {

namespace {

constexpr int kBusyMs = 2000;

} // namespace

bool SqlError::is_damage() const noexcept {
    return code_ == SQLITE_CORRUPT || code_ == SQLITE_NOTADB;
}

bool SqlError::is_full() const noexcept { return code_ == SQLITE_FULL; }

void Database::Close::operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }

Database::Database(const std::string& path) {
    sqlite3* raw = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    db_.reset(raw);
    if (code != SQLITE_OK) fail(code);
    sqlite3_extended_result_codes(raw, 0);
    sqlite3_busy_timeout(raw, kBusyMs);
    // A few small things at a time: no room set aside for more.
    sqlite3_db_config(raw, SQLITE_DBCONFIG_LOOKASIDE, nullptr, 128, 64);
}

void Database::fail(int code) const {
    const std::string text = db_ ? sqlite3_errmsg(db_.get()) : sqlite3_errstr(code);
    throw SqlError(code & 0xff, text);
}

void Database::run(const char* sql) {
    const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) fail(code);
}

std::int64_t Database::number(const char* sql) {
    Statement s(*this, sql);
    return s.step() ? s.integer(0) : 0;
}

std::string Database::text(const char* sql) {
    Statement s(*this, sql);
    return s.step() ? std::string(s.text(0)) : std::string();
}

void Statement::Finalize::operator()(sqlite3_stmt* s) const noexcept { sqlite3_finalize(s); }

Statement::Statement(Database& db, const std::string& sql) : db_(db) {
    sqlite3_stmt* raw = nullptr;
    const int code = sqlite3_prepare_v3(db.raw(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    statement_.reset(raw);
    if (code != SQLITE_OK) db.fail(code);
}

Statement& Statement::bind(int at, std::int64_t value) {
    if (const int code = sqlite3_bind_int64(statement_.get(), at, value); code != SQLITE_OK)
        db_.fail(code);
    return *this;
}

Statement& Statement::bind(int at, std::string_view text) {
    const int code =
        sqlite3_bind_text64(statement_.get(), at, text.data() != nullptr ? text.data() : "",
                            text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    if (code != SQLITE_OK) db_.fail(code);
    return *this;
}

Statement& Statement::bind_blob(int at, std::string_view bytes) {
    const int code =
        sqlite3_bind_blob64(statement_.get(), at, bytes.data() != nullptr ? bytes.data() : "",
                            bytes.size(), SQLITE_TRANSIENT);
    if (code != SQLITE_OK) db_.fail(code);
    return *this;
}

bool Statement::step() {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    sqlite3_reset(statement_.get());
    if (code != SQLITE_DONE) db_.fail(code);
    return false;
}

void Statement::done() noexcept { sqlite3_reset(statement_.get()); }

std::int64_t Statement::integer(int column) const noexcept {
    return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::text(int column) const noexcept {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
    const int size = sqlite3_column_bytes(statement_.get(), column);
    return bytes == nullptr ? std::string_view()
                            : std::string_view(bytes, static_cast<std::size_t>(size));
}

void Transaction::commit() {
    db_.run("COMMIT");
    open_ = false;
}

// SQLite has rolled back itself after some errors; then there is nothing to do.
Transaction::~Transaction() {
    if (open_ && sqlite3_get_autocommit(db_.raw()) == 0)
        sqlite3_exec(db_.raw(), "ROLLBACK", nullptr, nullptr, nullptr);
}

} // namespace keepwell::history
