// The lines of one systemd unit from the journal: the last ones, those since a time or after a
// cursor, and what comes.
//
// JournalReader and read_journal() open and read files: for a thread of the pool, or a program that
// may wait. A reader that goes on has the journal's own notice of new lines, so that a quiet unit
// costs nothing. Memory is bounded by the lines asked for, each cut at kLongestLine bytes; a reader
// asks for kMostLines at a time. A machine without a journal is an error that says so, not an empty
// page.
//
// Without a directory the machine's own journal is read, or the one that KEEPWELL_JOURNAL_DIR
// names.
#pragma once

#include "units/result.h"
#include "units/time.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::systemd {

inline constexpr std::size_t kMostLines = 1000;
inline constexpr std::size_t kLongestLine = 16U << 10;

struct JournalQuery {
    std::string unit;                 // "nginx.service"
    std::optional<std::uint32_t> uid; // whose systemd it belongs to; none = the system's
    std::size_t lines = 100;          // at most
    int priority = 7;                 // that and worse (lower); 7 = any
    WallTime since;                   // only what is not older; 0 = any
    bool forward = false;             // the first lines of `since`, instead of the last ones of all
    std::string after;                // a cursor: the first lines after it; likewise
    std::string before;               // a cursor: the last lines before it
    WallTime until;                   // the last lines that are not newer; 0 = any
    std::string directory;            // of journal files, instead of the machine's own
};

struct JournalLine {
    WallTime time;
    int priority = 6; // as syslog(3) has them: 0 is worst
    std::string text; // raw bytes, may hold newlines
    std::string cursor;
};

struct JournalPage {
    std::vector<JournalLine> lines; // oldest first
    bool more = false;              // after a cursor: others follow that did not fit
    bool older = false;             // of the last lines: others come before that did not fit
};

Result<JournalPage> read_journal(const JournalQuery&); // blocks

// Whose systemd speaks on a bus ("system", "user" or an address): nullopt = the system's. The bus
// of another user is known by the folder of its address, /run/user/UID.
std::optional<std::uint32_t> journal_owner(const std::string& bus);

// Keeps the journal open: a page of the query, then what is new. Belongs to one thread at a time.
class JournalReader {
  public:
    static Result<JournalReader> open(JournalQuery); // blocks; reads no line yet
    ~JournalReader();
    JournalReader(JournalReader&&) noexcept;
    JournalReader& operator=(JournalReader&&) noexcept;

    Result<JournalPage> read(); // blocks; from the second call on at most kMostLines
    // Readable when there may be more; stays the reader's. -1: nobody tells, look now and then.
    int wait_fd() const;

  private:
    struct Impl;
    explicit JournalReader(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell::systemd
