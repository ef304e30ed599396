#include "supervisor/feeds/event_builder.h"

#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <utility>

namespace keepwell::feeds {

std::string gap_json(std::optional<std::uint64_t> lines, std::string_view reason,
                     const std::vector<std::string>& units) {
    std::string out;
    JsonWriter w(out);
    w.begin_object().member("lines", lines).member("reason", reason).member("daemons", units);
    w.end_object();
    return out;
}

void EventBuilder::add(const std::string& unit, std::string_view line_json) {
    if (lines_ == kMostEventLines || (lines_ > 0 && bytes_ + line_json.size() > kMostEventBytes))
        flush();
    auto it = std::ranges::find(units_, unit, &Unit::name);
    if (it == units_.end()) it = units_.insert(it, {unit, {}});
    if (!it->lines.empty()) it->lines += ',';
    it->lines += line_json;
    bytes_ += line_json.size();
    ++lines_;
}

void EventBuilder::move_to(std::uint32_t source, FeedCursor::Place place) {
    at_.places[source] = std::move(place);
}

void EventBuilder::flush() {
    if (lines_ == 0) return;
    std::string data;
    JsonWriter w(data);
    w.begin_object().key("logs").begin_object();
    for (const Unit& unit : units_) w.key(unit.name).raw("[" + unit.lines + "]");
    w.end_object().member("lastUpdate", now_).end_object();
    auto event = std::make_shared<StreamEvent>();
    event->bytes = event_text("", id(), data);
    event->lines = lines_;
    events_.push_back(std::move(event));
    units_.clear();
    lines_ = bytes_ = 0;
}

void EventBuilder::gap(std::optional<std::uint64_t> lines, std::string_view reason,
                       const std::vector<std::string>& units) {
    flush();
    auto event = std::make_shared<StreamEvent>();
    event->bytes = event_text("gap", "", gap_json(lines, reason, units));
    event->lines = lines.value_or(0);
    events_.push_back(std::move(event));
}

void EventBuilder::heartbeat(bool essential) {
    flush();
    std::string data;
    JsonWriter w(data);
    w.begin_object().member("timestamp", now_).end_object();
    auto event = std::make_shared<StreamEvent>();
    event->bytes = event_text("heartbeat", id(), data);
    event->essential = essential;
    events_.push_back(std::move(event));
}

std::vector<EventPtr> EventBuilder::take() {
    flush();
    return std::exchange(events_, {});
}

} // namespace keepwell::feeds
