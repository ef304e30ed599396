// RAII over SQLite: a database and its prepared statements. What goes wrong is thrown as SqlError
// and caught at the edge of supervisor/history (history_file.cpp); nothing else includes this. One
// thread for each database.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace keepwell::history {

class SqlError : public std::runtime_error {
  public:
    SqlError(int code, const std::string& text) : std::runtime_error(text), code_(code) {}
    int code() const noexcept { return code_; } // SQLite's primary code
    bool is_damage() const noexcept;            // the file is no database, or a broken one
    bool is_full() const noexcept;

  private:
    int code_;
};

class Database {
  public:
    explicit Database(const std::string& path); // which must exist; an empty file is a new database
    void run(const char* sql);
    std::int64_t number(const char* sql); // the first column of the first row; 0 without one
    std::string text(const char* sql);
    sqlite3* raw() const noexcept { return db_.get(); }
    [[noreturn]] void fail(int code) const;

  private:
    struct Close {
        void operator()(sqlite3*) const noexcept;
    };
    std::unique_ptr<sqlite3, Close> db_;
};

// bind() counts from 1, columns from 0. A statement is ready again after done() or when step() has
// said false.
class Statement {
  public:
    Statement(Database&, const std::string& sql);
    Statement& bind(int at, std::int64_t);
    Statement& bind(int at, std::string_view); // copied
    Statement& bind_blob(int at, std::string_view);
    bool step(); // is there a row?
    void done() noexcept;
    void run() {
        while (step()) {
        }
    }
    std::int64_t integer(int column) const noexcept;
    std::string_view text(int column) const noexcept; // until the next step(); also of blobs

  private:
    struct Finalize {
        void operator()(sqlite3_stmt*) const noexcept;
    };
    Database& db_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Transaction { // rolled back unless commit() was called
  public:
    explicit Transaction(Database& db) : db_(db) { db_.run("BEGIN IMMEDIATE"); }
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit();

  private:
    Database& db_;
    bool open_ = true;
};

} // namespace keepwell::history
