#include "supervisor/cli/log_view.h"

#include <ctime>
#include <functional>
#include <queue>

namespace keepwell::cli {
namespace {

std::string time_stamp(std::int64_t unix_ms, bool utc) {
    const std::time_t seconds = unix_ms / 1000;
    std::tm t{};
    if (utc) {
        ::gmtime_r(&seconds, &t);
    } else {
        ::localtime_r(&seconds, &t);
    }
    char date[32];
    char text[48];
    std::strftime(date, sizeof date, utc ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &t);
    std::snprintf(text, sizeof text, "%s.%03d%s", date, static_cast<int>(unix_ms % 1000),
                  utc ? "Z" : "");
    return text;
}

std::string file_name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string_view stream_name(const LogView::Source& source) {
    switch (source.kind) {
    case LogView::Kind::Stdout: return "stdout";
    case LogView::Kind::Stderr: return "stderr";
    case LogView::Kind::File: return source.log;
    case LogView::Kind::Journal: return "journal";
    }
    return "";
}

} // namespace

Result<LogView::Cursor> LogView::cursor_of(const std::string& directory, const Source& source,
                                           const LogQuery& query) const {
    if (source.kind == Kind::Journal) {
        auto cursor = JournalCursor::open(source.journal, query);
        if (!cursor) return cursor.error();
        return Cursor(std::move(*cursor));
    }
    auto cursor = LogCursor::open(directory, source.log, query);
    if (!cursor) return cursor.error();
    return Cursor(std::move(*cursor));
}

Status LogView::open(const std::string& directory, const std::vector<Source>& sources,
                     const LogQuery& query) {
    std::vector<std::string> failed;
    for (const Source& source : sources) {
        auto cursor = cursor_of(directory, source, query);
        if (cursor)
            streams_.push_back({source, std::move(*cursor), {}, 0, 0});
        else
            failed.push_back(source.unit + ": " + cursor.error().message);
    }
    whole_ = failed.empty();
    if (streams_.empty() && !whole_) return Error{failed.front(), 0};
    for (const std::string& text : failed) context_.note(safe_text(text));
    return Done{};
}

std::vector<int> LogView::wait_fds() const {
    std::vector<int> fds;
    for (const Stream& stream : streams_)
        if (const auto* journal = std::get_if<JournalCursor>(&stream.cursor))
            fds.push_back(journal->wait_fd());
    return fds;
}

Status LogView::refill(Stream& stream) {
    if (stream.next < stream.batch.size()) return Done{};
    auto fresh = std::visit([](auto& cursor) { return cursor.poll(); }, stream.cursor);
    stream.next = 0;
    stream.batch.clear();
    if (!fresh) return fresh.error();
    stream.batch = std::move(*fresh);
    return Done{};
}

Status LogView::merge() {
    Status status = Done{};
    using Head = std::pair<std::int64_t, std::size_t>; // time, which stream
    std::priority_queue<Head, std::vector<Head>, std::greater<>> heads;
    const auto push = [&](std::size_t i) {
        Stream& stream = streams_[i];
        const Status filled = refill(stream);
        if (!filled) status = filled;
        if (stream.next == stream.batch.size()) return;
        stream.time = stream.batch[stream.next].time_ms.value_or(stream.time);
        heads.emplace(stream.time, i);
    };
    for (std::size_t i = 0; i < streams_.size(); ++i) push(i);
    while (!heads.empty() && context_.out()) {
        const std::size_t i = heads.top().second;
        heads.pop();
        Stream& stream = streams_[i];
        print(stream.source, stream.batch[stream.next++]);
        push(i);
    }
    return status;
}

Status LogView::show_present() {
    const Status shown = merge();
    if (!shown || context_.options().follow) {
        for (Stream& stream : streams_)
            if (auto* log = std::get_if<LogCursor>(&stream.cursor)) log->live(true);
        return shown;
    }
    for (Stream& stream : streams_) {
        auto* log = std::get_if<LogCursor>(&stream.cursor);
        if (log == nullptr) continue;
        if (const auto rest = log->rest()) print(stream.source, *rest);
    }
    return shown;
}

Status LogView::show_new() { return merge(); }

// Raw bytes in a pipe; on a terminal nothing of a log is ever obeyed.
void LogView::print(const Source& source, const LogEntry& entry) {
    const std::string text = redactor_.apply(entry.text);
    const Options& options = context_.options();
    std::ostream& out = context_.out();
    if (options.json) {
        out << "{\"unit\":" << json_quote(source.unit) << ",\"time\":"
            << (entry.time_ms ? json_quote(time_stamp(*entry.time_ms, true)) : "null")
            << ",\"level\":"
            << (entry.level ? json_quote(to_string(*entry.level)) : std::string("null"))
            << ",\"stream\":" << json_quote(stream_name(source)) << ",\"line\":" << json_quote(text)
            << "}\n";
        return;
    }
    if (options.time) {
        const std::string none(23, ' ');
        out << (entry.time_ms ? time_stamp(*entry.time_ms, false) : none) << " ";
    }
    const Style& style = context_.style();
    const char* const mark = source.kind == Kind::Stderr ? "! " : "| ";
    if (several_) out << paint(safe_text(source.unit), Colour::Cyan, style) << " " << mark;
    // With one unit only what is not its stdout needs a mark, where they are mixed.
    const bool mixed = source.apart && !options.only_stderr;
    if (mixed && source.kind == Kind::Stderr && !several_ && !options.only_stdout) out << mark;
    if (mixed && source.kind == Kind::File)
        out << paint(safe_text(file_name_of(source.log)), Colour::Cyan, style) << " " << mark;
    out << (style.terminal ? safe_log_line(text) : text) << "\n";
}

} // namespace keepwell::cli
