#include "supervisor/history/history_json.h"

#include "supervisor/status/json_writer.h"

#include <cmath>

namespace keepwell::history {

namespace {

double round_to(double value, double per_one) { return std::round(value * per_one) / per_one; }

void write_figure(JsonWriter& w, std::string_view name, const Figure& f, double scale,
                  double per_one) {
    w.key(name);
    if (f.count == 0) {
        w.null();
        return;
    }
    const auto show = [&](double v) { return round_to(v * scale, per_one); };
    w.begin_object()
        .member("min", show(static_cast<double>(f.min)))
        .member("avg", show(static_cast<double>(f.sum) / f.count))
        .member("max", show(static_cast<double>(f.max)))
        .end_object();
}

// A clock that was set back books two minutes under one name; the shares stay, the sum fits.
double share(const RollUp& r, std::int64_t step_s) {
    const std::int64_t all = r.watched_ms();
    return all <= step_s * 1000 ? 1.0
                                : static_cast<double>(step_s * 1000) / static_cast<double>(all);
}

void write_point(JsonWriter& w, const Point& p, std::int64_t step_s) {
    const RollUp& r = p.roll_up;
    const double fit = share(r, step_s);
    const auto seconds = [&](Spent s) {
        return round_to(static_cast<double>(r.in(s)) * fit / 1000, 1000);
    };
    w.begin_object().member("time", p.time);
    w.member("ok_s", seconds(Spent::Ok)).member("degraded_s", seconds(Spent::Degraded));
    w.member("down_s", seconds(Spent::Down)).member("unknown_s", seconds(Spent::Unknown));
    w.member("paused_s", seconds(Spent::Paused));
    write_figure(w, "latency_ms", r.latency_us, 0.001, 1000);
    write_figure(w, "cpu_percent", r.cpu_hundredths, 0.01, 100);
    write_figure(w, "memory_bytes", r.memory_kib, 1024, 1);
    w.member("checks", r.checks).member("failures", r.failures).member("restarts", r.restarts);
    w.end_object();
}

} // namespace

void add_running(Story& story, const MinuteRow& row) {
    const std::int64_t at = row.minute * 60;
    const std::int64_t step = cut_of(story.range).step_s;
    for (Point& p : story.points)
        if (p.time.ms / 1000 <= at && at < p.time.ms / 1000 + step) p.roll_up.merge(row.roll_up);
}

std::string story_json(const Story& story) {
    const Cut cut = cut_of(story.range);
    RollUp all;
    std::string out;
    out.reserve(story.points.size() * 320 + 1024);
    JsonWriter w(out);
    w.begin_object().member("service", story.key).member("range", cut.name);
    w.member("step_s", cut.step_s);
    const WallTime from = story.points.empty() ? WallTime{} : story.points.front().time;
    w.member("from", from).member("to", WallTime{from.ms + cut.points * cut.step_s * 1000});
    w.key("points").begin_array();
    for (const Point& p : story.points) {
        write_point(w, p, cut.step_s);
        all.merge(p.roll_up);
    }
    w.end_array().key("changes").begin_array();
    for (const ChangeRow& c : story.changes) {
        w.begin_object().member("time", c.time).member("state", c.state);
        w.member("health", c.verdict).member("reason", c.reason).end_object();
    }
    w.end_array();
    const auto up = up_ratio(all);
    w.member("uptime_ratio", up ? std::optional(round_to(*up, 1e6)) : std::nullopt);
    w.end_object();
    return out;
}

std::string events_json(const std::vector<EventRow>& events, std::uint64_t last, bool more) {
    std::string out;
    JsonWriter w(out);
    w.begin_object().key("events").begin_array();
    for (const EventRow& e : events) {
        w.begin_object().member("sequence", e.sequence).member("time", e.time);
        w.member("service", e.service).member("kind", e.kind).member("subject", e.subject);
        w.member("text", e.text).member("detail", e.detail).end_object();
    }
    w.end_array().member("last", last).member("more", more).end_object();
    return out;
}

} // namespace keepwell::history
