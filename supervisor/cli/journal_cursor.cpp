#include "supervisor/cli/journal_cursor.h"

namespace keepwell::cli {

namespace {

// The priorities of syslog(3).
LogLevel level_of(int priority) {
    if (priority <= 3) return LogLevel::Error;
    if (priority == 4) return LogLevel::Warn;
    return priority == 7 ? LogLevel::Debug : LogLevel::Info;
}

int worst_of(LogLevel level) {
    switch (level) {
    case LogLevel::Error: return 3;
    case LogLevel::Warn: return 4;
    case LogLevel::Info: return 6;
    case LogLevel::Debug: return 7;
    }
    return 7;
}

void append(const systemd::JournalLine& line, std::vector<LogEntry>& to) {
    const std::string_view text = line.text;
    for (std::size_t at = 0; at <= text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        to.push_back(
            {std::string(text.substr(at, end - at)), line.time.ms, level_of(line.priority)});
        at = end + 1;
    }
}

} // namespace

Result<JournalCursor> JournalCursor::open(systemd::JournalQuery journal, const LogQuery& query) {
    if (query.level) journal.priority = worst_of(*query.level);
    if (query.since_ms) journal.since.ms = *query.since_ms;
    journal.forward = query.since_ms && !query.last;
    journal.lines = query.last.value_or(systemd::kMostLines);
    auto reader = systemd::JournalReader::open(std::move(journal));
    if (!reader) return reader.error();
    return JournalCursor(std::move(*reader));
}

Result<std::vector<LogEntry>> JournalCursor::poll() {
    std::vector<LogEntry> entries;
    for (bool more = true;
         more && entries.empty();) { // a page in which nothing matches is not the end
        const auto page = reader_.read();
        if (!page) return page.error();
        for (const auto& line : page->lines) append(line, entries);
        more = page->more;
    }
    return entries;
}

} // namespace keepwell::cli
