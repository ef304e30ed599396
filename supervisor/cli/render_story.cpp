#include "supervisor/cli/render.h"

#include <algorithm>

namespace keepwell::cli {

namespace {

constexpr int kWidestText = 56;

struct StoryLine {
    std::string time, subject, text, detail;
};

StoryLine story_line(const Json& line) {
    StoryLine out;
    const auto at = parse_time(line["time"].text());
    out.time = at ? clock_text(*at, true) : "";
    out.subject = safe_text(line["kind"].text());
    if (const auto subject = line["subject"].text(); !subject.empty()) {
        out.subject += " " + safe_text(subject);
    }
    out.text = safe_text(line["text"].text());
    if (const auto detail = line["detail"].text(); !detail.empty()) {
        out.detail = "\"" + safe_text(detail) + "\"";
    }
    return out;
}

std::string cut(const std::string& line, const Style& style) {
    return style.terminal ? fit(line, style.width, style) : line;
}

// "down 11:58:02 → healthy 11:58:41 (39 s)", "down since 11:58:02 (39 s so far)"
std::string incident_headline(const Json& incident, std::int64_t now_ms, const Style& style) {
    const std::string summary = incident["summary"].text("down");
    std::string out = safe_text(summary.substr(0, summary.find(' ')));
    const auto from = parse_time(incident["from"].text());
    const auto until = parse_time(incident["until"].text());
    std::string start;
    if (from) {
        const std::string date = date_text(*from);
        start = (date == date_text(now_ms) ? "" : date + " ") + clock_text(*from, false);
    }
    if (!until) {
        const double so_far = from ? static_cast<double>(now_ms - *from) / 1000 : 0;
        return out + " since " + start + " (" + human_seconds(so_far) + " so far)";
    }
    const double seconds = incident["duration_s"].number().value_or(0);
    out += " " + start + (style.utf8 ? " → " : " -> ") +
           safe_text(incident["outcome"].text("over")) + " " + clock_text(*until, false) + " (" +
           human_seconds(seconds) + ")";
    return out;
}

Colour outcome_colour(const std::string& outcome) {
    if (outcome == "healthy") return Colour::Green;
    if (outcome == "open" || outcome == "failed") return Colour::Red;
    return Colour::None;
}

std::string incident_text(const Json& incident, const std::string& service, std::int64_t now_ms,
                          const Style& style) {
    std::string out = paint(service, Colour::Bold, style) + "  " +
                      paint(incident_headline(incident, now_ms, style),
                            outcome_colour(incident["outcome"].text()), style);
    if (const auto reason = incident["reason"].text(); !reason.empty()) {
        out += "  " + safe_text(reason);
    }
    if (const auto id = incident["id"].text(); !id.empty()) out += "  incident " + safe_text(id);
    out += "\n";

    std::vector<StoryLine> lines;
    for (const auto& line : incident["lines"].items()) lines.push_back(story_line(line));
    int subject = 12;
    int text = 0;
    for (const auto& line : lines) {
        subject = std::max(subject, std::min(24, display_width(line.subject)));
        if (!line.detail.empty()) {
            text = std::max(text, std::min(kWidestText, display_width(line.text)));
        }
    }
    for (const auto& line : lines) {
        std::string row = "  " + line.time + "  " + pad(line.subject, subject) + "  " + line.text;
        if (!line.detail.empty()) {
            row = "  " + line.time + "  " + pad(line.subject, subject) + "  " +
                  pad(line.text, text) + "  " + line.detail;
        }
        row.erase(row.find_last_not_of(' ') + 1);
        out += cut(row, style) + "\n";
    }
    const std::int64_t left_out = incident["left_out"].integer();
    if (left_out > 0) {
        out += "  (" + plural(static_cast<std::uint64_t>(left_out), "line") + " left out)\n";
    }
    return out;
}

// Troubles and what is still going on; the last calm story when there is nothing else.
std::vector<Json> worth_telling(const Json& why) {
    const std::vector<Json> all = why["incidents"].items();
    std::vector<Json> out;
    for (const auto& incident : all) {
        if (incident["trouble"].boolean(true) || incident["until"].is_null())
            out.push_back(incident);
    }
    if (out.empty() && !all.empty()) out.push_back(all.back());
    return out;
}

} // namespace

std::string render_why(const Json& why, std::size_t incidents, std::int64_t now_ms,
                       const Style& style) {
    const std::string service = safe_text(why["service"].text());
    const std::vector<Json> all = worth_telling(why);
    std::string out;
    if (all.empty()) out = service + "  no incident on record\n";
    const std::size_t first = all.size() > incidents ? all.size() - incidents : 0;
    for (std::size_t i = first; i < all.size(); ++i) {
        if (i > first) out += "\n";
        out += incident_text(all[i], service, now_ms, style);
    }
    if (const auto next = why["next"].text(); !next.empty()) {
        out += "  next: " + safe_text(next) + "\n";
    }
    return out;
}

std::string render_explain(const Json& explain, const Style& style) {
    std::string out =
        "policy " + paint(safe_text(explain["policy"].text("default")), Colour::Bold, style) + "\n";
    int width = 8;
    for (const auto& line : explain["lines"].items()) {
        width = std::max(width, display_width(safe_text(line["topic"].text())));
    }
    for (const auto& line : explain["lines"].items()) {
        const std::string text = safe_text(line["text"].text());
        out += "  " + pad(safe_text(line["topic"].text()), width) + "  " +
               (style.terminal ? wrap(text, width + 4, style.width) : text) + "\n";
    }
    return out;
}

std::string render_event(const Json& event, std::int64_t now_ms, const Style& style) {
    const auto at = parse_time(event["time"].text());
    std::string out = at ? clock_text(*at, true) : "-";
    // On a terminal the date of today is no news.
    const bool today = at && date_text(*at) == date_text(now_ms);
    if (at && !(today && style.terminal)) out.insert(0, date_text(*at) + " ");
    std::string kind = safe_text(event["kind"].text());
    if (const auto subject = event["subject"].text(); !subject.empty()) {
        kind += " " + safe_text(subject);
    }
    const std::string service = safe_text(event["service"].text());
    out += "  " + pad(service.empty() ? "keepwell" : service, 14) + "  " + pad(kind, 12) + "  " +
           safe_text(event["text"].text());
    if (const auto detail = event["detail"].text(); !detail.empty()) {
        out += "  \"" + safe_text(detail) + "\"";
    }
    return cut(out, style) + "\n";
}

} // namespace keepwell::cli
