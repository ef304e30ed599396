// FeedSource: one stream of lines of a unit, wherever it lies: what keepwell captures of it, a file
// that its daemon writes itself, or what systemd's journal has of it. Plain values.
#pragma once

#include "supervisor/logs/line_facts.h"
#include "supervisor/systemd/journal.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace keepwell::feeds {

struct FeedSource {
    enum class Kind { File, Journal };
    Kind kind = Kind::File;
    std::string unit;   // the key of the unit it belongs to
    std::string name;   // of a file, as log_names.h has them; of the journal: the systemd unit
    std::string stream; // what is shown: stdout, stderr, the file's name, journal
    std::optional<systemd::JournalQuery> journal;
};

// A place between two lines of one source.
struct FeedPosition {
    std::uint64_t sequence = 0; // of the file: what it has, or will have once rotated
    std::uint64_t inode = 0;
    std::uint64_t offset = 0;
    std::string journal; // instead of the three, of a journal: its cursor of the line before
    bool operator==(const FeedPosition&) const = default;
};

struct FeedLine {
    std::string text;                    // raw bytes; not redacted
    std::optional<std::int64_t> time_ms; // unix; its own, else when it was written
    std::optional<LogLevel> level;       // of a line that begins with a blank: that of its head
    std::optional<std::int64_t> written_ms = {}; // unix; known of what keepwell or systemd writes
};

} // namespace keepwell::feeds
