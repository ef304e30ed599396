#include "supervisor/app/journal_lines.h"

namespace keepwell {

Result<std::vector<TimedLine>> JournalLines::poll_timed() {
    auto page = systemd::read_journal(query_);
    if (!page) return page.error();
    std::vector<TimedLine> lines;
    for (systemd::JournalLine& line : page->lines) {
        query_.after = std::move(line.cursor);
        lines.push_back({std::move(line.text), line.time.ms});
    }
    return lines;
}

void JournalLines::skip() {
    systemd::JournalQuery last = query_;
    last.forward = false;
    last.after.clear();
    last.lines = 1;
    if (auto page = systemd::read_journal(last); page && !page->lines.empty())
        query_.after = std::move(page->lines.back().cursor);
}

} // namespace keepwell
