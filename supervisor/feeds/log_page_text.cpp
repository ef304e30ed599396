#include "supervisor/feeds/log_page.h"

#include "supervisor/status/json_writer.h"

namespace keepwell::feeds {
namespace {

void write_troubles(JsonWriter& w, const LogPlaces& places, const LogPage& page, bool gaps) {
    w.begin_array();
    for (const auto& trouble : page.troubles) {
        if (trouble.text.empty() != gaps) continue;
        const FeedSource& source = places.sources[trouble.source];
        w.begin_object().member("daemon", source.unit).member("stream", source.stream);
        if (!gaps) w.member("error", trouble.text);
        w.end_object();
    }
    w.end_array();
}

} // namespace

std::string page_json(const LogPlaces& places, const LogPage& page, WallTime now) {
    std::string lines = "[";
    for (const PageLine& line : page.lines) {
        if (lines.size() > 1) lines += ',';
        append_line_json(lines, places.sources[line.source], line.time_ms, line.level, line.text);
    }
    lines += ']';
    std::string out;
    JsonWriter w(out);
    w.begin_object().member("status", "success").key("data").begin_object();
    w.raw_member("logs", lines).member("lastUpdate", now).end_object();
    w.key("cursor").begin_object().key("before");
    if (page.before)
        w.value(encode(*page.before));
    else
        w.null();
    w.end_object().key("gaps");
    write_troubles(w, places, page, true);
    w.key("unreadable");
    write_troubles(w, places, page, false);
    w.member("timestamp", now).end_object();
    return out;
}

std::string page_text(const LogPlaces& places, const LogPage& page) {
    std::string out;
    for (const PageLine& line : page.lines) {
        out += line.time_ms ? rfc3339(WallTime{*line.time_ms}) : "-";
        out += ' ';
        out += places.sources[line.source].unit;
        out += ' ';
        for (const char c : line.text) {
            out += c;
            if (c == '\n') out += "    "; // still the same line
        }
        out += '\n';
    }
    return out;
}

} // namespace keepwell::feeds
