#include "supervisor/cli/render_history.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <fmt/format.h>
#include <optional>
#include <vector>

namespace keepwell::cli {

namespace {

constexpr std::size_t kBar = 72, kRows = 12;

struct Figure { // of several points: the least, the greatest, the mean of the means
    std::optional<double> max;
    double sum = 0;
    int count = 0;
    void add(const Json& f) {
        if (!f.is_object()) return;
        max = std::max(max.value_or(f["max"].number().value_or(0)), f["max"].number().value_or(0));
        sum += f["avg"].number().value_or(0);
        ++count;
    }
    std::optional<double> avg() const {
        return count == 0 ? std::nullopt : std::optional(sum / count);
    }
};

struct Part { // of the range: a cell of the bar or a row of the table
    double ok = 0, degraded = 0, down = 0, unknown = 0, paused = 0;
    Figure latency, cpu, memory;
    std::int64_t restarts = 0, from_ms = 0;
    void add(const Json& p) {
        ok += p["ok_s"].number().value_or(0);
        degraded += p["degraded_s"].number().value_or(0);
        down += p["down_s"].number().value_or(0);
        unknown += p["unknown_s"].number().value_or(0);
        paused += p["paused_s"].number().value_or(0);
        latency.add(p["latency_ms"]);
        cpu.add(p["cpu_percent"]);
        memory.add(p["memory_bytes"]);
        restarts += p["restarts"].integer();
    }
    std::optional<double> up() const {
        const double all = ok + degraded + down;
        return all <= 0 ? std::nullopt : std::optional((ok + degraded) / all);
    }
    bool empty() const { return ok + degraded + down + unknown + paused <= 0; }
};

// Points in `count` parts that are as equal as whole points can be.
std::vector<Part> parts(const std::vector<Json>& points, std::size_t count) {
    count = std::min(count, points.size());
    std::vector<Part> all(count);
    for (std::size_t i = 0; i < points.size(); ++i) {
        const std::size_t at = i * count / points.size();
        if (all[at].from_ms == 0)
            all[at].from_ms = parse_time(points[i]["time"].text()).value_or(0);
        all[at].add(points[i]);
    }
    return all;
}

struct BarCell {
    const char* text;
    char ascii;
    Colour colour;
};

// The worst of the part; a moment of trouble is not hidden by an hour that went well.
BarCell bar_cell(const Part& p) {
    if (p.down > 0) return {"▁", 'D', Colour::Red};
    if (p.degraded > 0) return {"▄", 'g', Colour::Yellow};
    if (p.ok > 0) return {"█", '#', Colour::Green};
    if (p.paused > 0) return {"▒", 'p', Colour::Blue};
    if (p.unknown > 0) return {"?", '?', Colour::Dim};
    return {"·", '.', Colour::Dim};
}

std::string bar(const std::vector<Part>& cells, const Style& style) {
    std::string out;
    for (const Part& p : cells) {
        const BarCell c = bar_cell(p);
        const bool drawn = style.terminal && style.utf8;
        out += paint(drawn ? std::string(c.text) : std::string(1, c.ascii), c.colour, style);
    }
    return out;
}

// 99.999 is not 100: what was down at all never reads as if it was not.
std::string percent(std::optional<double> ratio) {
    if (!ratio) return "-";
    if (*ratio >= 1) return "100 %";
    return fmt::format("{:.2f} %", std::floor(*ratio * 1e4 + 1e-6) / 100);
}

std::string span(double seconds) { return seconds <= 0 ? "-" : human_age(std::max(1.0, seconds)); }

std::string row_time(std::int64_t ms, std::int64_t row_s) {
    if (row_s < 86'400) return date_text(ms).substr(5) + " " + clock_text(ms, false).substr(0, 5);
    return date_text(ms);
}

std::string table(const std::vector<Part>& rows, std::int64_t row_s) {
    using Row = std::array<std::string, 8>;
    std::vector<Row> all = {
        {"FROM", "UP", "DOWN", "DEGRADED", "LATENCY", "CPU", "MEMORY", "RESTARTS"}};
    for (const Part& p : rows) {
        Row r;
        r.fill("-");
        r[0] = row_time(p.from_ms, row_s);
        if (p.empty()) {
            r[1] = "no data";
        } else {
            r[1] = percent(p.up());
            r[2] = span(p.down);
            r[3] = span(p.degraded);
            if (const auto ms = p.latency.avg()) r[4] = human_ms(*ms);
            if (const auto cpu = p.cpu.avg()) r[5] = fmt::format("{:.1f} %", *cpu);
            if (p.memory.max) r[6] = human_bytes(*p.memory.max);
            r[7] = p.restarts == 0 ? "-" : std::to_string(p.restarts);
        }
        all.push_back(std::move(r));
    }
    std::string out;
    for (const Row& r : all) {
        std::string line = " ";
        for (std::size_t c = 0; c < r.size(); ++c) {
            int width = 0;
            for (const Row& other : all) width = std::max(width, display_width(other[c]));
            line += " " + pad(r[c], width + (c + 1 < r.size() ? 1 : 0));
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

std::string summary(const Json& history, const Part& all, const Style& style) {
    std::string out = paint(safe_text(history["service"].text()), Colour::Bold, style) + "  last " +
                      safe_text(history["range"].text()) + "  ";
    if (all.empty()) return out + "no data yet\n";
    if (all.up()) out += percent(all.up()) + " up";
    if (!all.up()) out += "never watched while it should run";
    if (all.down > 0) out += ", down " + span(all.down);
    if (all.degraded > 0) out += ", degraded " + span(all.degraded);
    if (all.restarts > 0) out += ", " + plural(static_cast<std::uint64_t>(all.restarts), "restart");
    return out + "\n";
}

} // namespace

std::string render_history(const Json& history, const Style& style) {
    const std::vector<Json> points = history["points"].items();
    const auto whole = parts(points, 1);
    if (whole.empty()) return safe_text(history["service"].text()) + "  no data yet\n";
    std::string out = summary(history, whole.front(), style);
    const std::size_t wide =
        style.terminal ? static_cast<std::size_t>(std::max(10, std::min(style.width, 80) - 4))
                       : kBar;
    out += "  " + bar(parts(points, std::min(kBar, wide)), style) + "\n";
    const bool drawn = style.terminal && style.utf8;
    const std::string key =
        drawn ? "█ up  ▄ degraded  ▁ down  ▒ paused  ? stopped or unknown  · no data"
              : "# up  g degraded  D down  p paused  ? stopped or unknown  . no data";
    out += "  " + paint(key, Colour::Dim, style) + "\n\n";
    const std::int64_t range_s =
        history["step_s"].integer() * static_cast<std::int64_t>(points.size());
    const auto rows = parts(points, points.size() == 168 ? 7 : kRows);
    return out + table(rows, rows.empty() ? 1 : range_s / static_cast<std::int64_t>(rows.size()));
}

std::string rfc3339_text(std::int64_t ms) {
    const std::time_t seconds = ms / 1000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

} // namespace keepwell::cli
