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

} // namespace

Status LogView::open(const std::string& directory, const std::vector<Source>& sources,
                     const LogQuery& query) {
    for (const Source& source : sources) {
        auto cursor = LogCursor::open(directory, source.log, query);
        if (!cursor) return cursor.error();
        streams_.push_back({source, std::move(*cursor), {}, 0, 0});
    }
    return Done{};
}

Status LogView::refill(Stream& stream) {
    if (stream.next < stream.batch.size()) return Done{};
    auto fresh = stream.cursor.poll();
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
        for (Stream& stream : streams_) stream.cursor.live(true);
        return shown;
    }
    for (Stream& stream : streams_) {
        if (const auto rest = stream.cursor.rest()) print(stream.source, *rest);
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
            << ",\"stream\":\"" << (source.errors ? "stderr" : "stdout")
            << "\",\"line\":" << json_quote(text) << "}\n";
        return;
    }
    if (options.time) {
        const std::string none(23, ' ');
        out << (entry.time_ms ? time_stamp(*entry.time_ms, false) : none) << " ";
    }
    const Style& style = context_.style();
    const char* const mark = source.errors ? "! " : "| ";
    if (several_) out << paint(safe_text(source.unit), Colour::Cyan, style) << " " << mark;
    // With one unit only a stderr that is mixed with its stdout needs a mark.
    const bool mixed = source.apart && !options.only_stderr && !options.only_stdout;
    if (!several_ && mixed && source.errors) out << mark;
    out << (style.terminal ? safe_log_line(text) : text) << "\n";
}

} // namespace keepwell::cli
