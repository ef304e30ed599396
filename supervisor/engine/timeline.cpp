#include "supervisor/engine/timeline.h"

#include "supervisor/engine/note_text.h"
#include "supervisor/status/json_writer.h"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::size_t kMaxLines = 4096;
constexpr std::size_t kMaxStories = 8;
constexpr std::size_t kMaxStoryLines = 120;
constexpr std::size_t kStoryHead = 40; // how it began is kept whatever follows
constexpr std::size_t kMaxLinesInStories = 8192;

// The outcome of a unit that has settled, else empty.
std::string outcome_of(const UnitRecord& r) {
    switch (r.state) {
    case State::Running: return r.health == Verdict::Healthy ? "healthy" : "";
    case State::Stopped: return "stopped";
    case State::Completed: return "completed";
    case State::Failed: return "failed";
    case State::Waiting:
    case State::Starting:
    case State::Stopping:
    case State::Backoff:
    case State::Cooldown:
    case State::Unknown: return "";
    }
    return "";
}

void write_line(JsonWriter& w, const TimelineLine& l) {
    w.begin_object().member("time", l.time).member("kind", l.kind).member("subject", l.subject);
    w.member("text", l.text).member("detail", l.detail).end_object();
}

// One event, its object still open.
void begin_event(JsonWriter& w, const TimelineLine& l) {
    w.begin_object().member("sequence", l.sequence).member("time", l.time);
    w.member("service", l.service).member("kind", l.kind).member("subject", l.subject);
    w.member("text", l.text).member("detail", l.detail);
}

std::string to_json(const TimelineLine& l) {
    std::string out;
    JsonWriter w(out);
    begin_event(w, l);
    w.member("ms", l.time.ms)
        .member("story", l.story)
        .member("outcome", l.outcome)
        .member("trouble", l.trouble);
    w.end_object();
    return out;
}

} // namespace

Timeline::Timeline(const Clock& clock, std::function<std::string(UnitIndex)> key_of,
                   std::function<void(std::string)> save)
    : clock_(clock), key_of_(std::move(key_of)), save_(std::move(save)) {}

void Timeline::record(const StepInfo& info) {
    std::vector<TimelineLine> fresh;
    for (const Effect& effect : info.effects) {
        const auto* note = std::get_if<Note>(&effect);
        if (!note) continue;
        NoteText t = describe(*note, info, key_of_);
        TimelineLine line;
        line.service = info.spec.key;
        line.kind = std::move(t.kind);
        line.subject = std::move(t.subject);
        line.text = std::move(t.text);
        line.detail = std::move(t.detail);
        line.trouble = t.trouble;
        fresh.push_back(std::move(line));
    }
    const std::string outcome = outcome_of(info.after);
    const auto open = stories_.find(info.spec.key);
    const bool ends =
        !outcome.empty() && open != stories_.end() && open->second.back().outcome.empty();
    if (fresh.empty() && ends) { // a first verdict comes without a note
        fresh.emplace_back();
        fresh.back().service = info.spec.key;
        fresh.back().kind = outcome;
        fresh.back().text = info.text.detail;
    }
    if (fresh.empty()) return;
    fresh.back().outcome = outcome;
    for (auto& line : fresh) {
        line.time = clock_.wall();
        line.sequence = ++sequence_;
        const auto& list = stories_[line.service];
        line.story = !list.empty() && list.back().outcome.empty() ? list.back().id : next_story_++;
        save_(to_json(line));
        append(line);
        if (listener_) listener_(line);
    }
}

void Timeline::add(const std::string& service, const std::string& kind, const std::string& text) {
    add_line(service, kind, text, 0);
}

void Timeline::note(const std::string& service, const std::string& kind, const std::string& text) {
    const auto it = stories_.find(service);
    const bool open =
        it != stories_.end() && !it->second.empty() && it->second.back().outcome.empty();
    add_line(service, kind, text, open ? it->second.back().id : 0);
}

void Timeline::add_line(const std::string& service, const std::string& kind,
                        const std::string& text, std::uint64_t story) {
    TimelineLine line;
    line.story = story;
    line.sequence = ++sequence_;
    line.time = clock_.wall();
    line.service = service;
    line.kind = kind;
    line.text = text;
    save_(to_json(line));
    append(line);
    if (listener_) listener_(line);
}

std::vector<TimelineLine> Timeline::lines_since(WallTime from) const {
    std::vector<TimelineLine> lines;
    for (const auto& line : lines_)
        if (line->time >= from) lines.push_back(unpack(*line));
    return lines;
}

void Timeline::restore(const TimelineLine& line) {
    sequence_ = std::max(sequence_, line.sequence);
    next_story_ = std::max(next_story_, line.story + 1);
    append(line);
}

Timeline::Story& Timeline::story_for(const TimelineLine& line) {
    auto& list = stories_[line.service];
    if (list.empty() || list.back().id != line.story) {
        list.emplace_back();
        list.back().id = line.story;
        list.back().from = line.time;
        if (list.size() > kMaxStories) {
            story_lines_ -= list.front().lines.size();
            list.erase(list.begin());
        }
    }
    return list.back();
}

void Timeline::append(const TimelineLine& line) {
    const auto packed = std::make_shared<const Packed>(pack(line));
    if (line.story != 0) {
        Story& story = story_for(line);
        if (line.trouble && story.down_at.ms == 0) {
            story.down_at = line.time;
            story.reason = line.text;
        }
        story.outcome = line.outcome;
        story.until = line.outcome.empty() ? WallTime{} : line.time;
        if (story.down_at.ms != 0)
            last_incident_ = IncidentView{line.service, story.reason, story.down_at, story.until};
        if (story.lines.size() >= kMaxStoryLines) {
            story.lines.erase(story.lines.begin() + kStoryHead);
            --story_lines_;
            ++story.left_out;
        }
        story.lines.push_back(packed);
        if (++story_lines_ > kMaxLinesInStories) make_room();
    }
    lines_.push_back(packed);
    if (lines_.size() > kMaxLines) lines_.pop_front();
}

// An eighth at a time, so that looking for the oldest is seldom.
void Timeline::make_room() {
    std::vector<std::pair<std::uint64_t, std::vector<Story>*>> old;
    for (auto& [service, list] : stories_)
        for (std::size_t i = 0; i + 1 < list.size(); ++i) old.emplace_back(list[i].id, &list);
    std::sort(old.begin(), old.end());
    for (const auto& [id, list] : old) {
        if (story_lines_ < kMaxLinesInStories / 8 * 7) return;
        story_lines_ -= list->front().lines.size();
        list->erase(list->begin());
    }
}

void Timeline::forget(const std::string& service) {
    const auto it = stories_.find(service);
    if (it == stories_.end()) return;
    for (const Story& s : it->second) story_lines_ -= s.lines.size();
    stories_.erase(it);
}

Timeline::Packed Timeline::pack(const TimelineLine& l) {
    Packed p{l.sequence, l.time, {}};
    const std::string* const parts[] = {&l.service, &l.kind, &l.subject, &l.text, &l.detail};
    std::size_t size = 0;
    for (const auto* part : parts) size += part->size() + 1;
    p.texts.reserve(size);
    for (const auto* part : parts) {
        const std::size_t from = p.texts.size();
        p.texts += *part;
        std::replace(p.texts.begin() + static_cast<std::ptrdiff_t>(from), p.texts.end(), '\0', ' ');
        p.texts += '\0';
    }
    return p;
}

TimelineLine Timeline::unpack(const Packed& p) {
    TimelineLine l;
    l.sequence = p.sequence;
    l.time = p.time;
    const char* at = p.texts.c_str();
    for (std::string* part : {&l.service, &l.kind, &l.subject, &l.text, &l.detail}) {
        *part = at;
        at += part->size() + 1;
    }
    return l;
}

void Timeline::write_story(JsonWriter& w, const Story& s) const {
    const bool trouble = s.down_at.ms != 0;
    const WallTime from = trouble ? s.down_at : s.from;
    const WallTime until = s.until.ms != 0 ? s.until : clock_.wall();
    const std::string outcome = s.outcome.empty() ? "open" : s.outcome;
    w.begin_object()
        .member("id", std::to_string(s.id))
        .member("from", from)
        .member("until", s.until);
    w.member("outcome", outcome).member("trouble", trouble);
    w.member("duration_s", static_cast<double>(until.ms - from.ms) / 1000.0);
    w.member("summary", (trouble ? "down" : "began") + std::string(" → ") + outcome);
    w.member("reason", s.reason).member("left_out", s.left_out);
    w.key("lines").begin_array();
    for (const auto& l : s.lines) write_line(w, unpack(*l));
    w.end_array().end_object();
}

std::string Timeline::why_json(const std::string& service, const std::string& next) const {
    std::string out;
    JsonWriter w(out);
    w.begin_object().member("service", service).key("incidents").begin_array();
    if (const auto it = stories_.find(service); it != stories_.end())
        for (const Story& s : it->second) write_story(w, s);
    w.end_array().member("next", next).end_object();
    return out;
}

std::string Timeline::events_json(std::uint64_t since, std::size_t limit) const {
    std::size_t first = lines_.size();
    while (first > 0 && lines_[first - 1]->sequence > since) --first;
    // Without a position the newest are wanted; with one, what comes next, so that a reader misses
    // nothing.
    if (since == 0 && lines_.size() - first > limit) first = lines_.size() - limit;
    const std::size_t end = std::min(lines_.size(), first + limit);
    std::string out;
    JsonWriter w(out);
    w.begin_object().key("events").begin_array();
    std::uint64_t last = end > first ? 0 : sequence_;
    for (std::size_t i = first; i < end; ++i) {
        const TimelineLine l = unpack(*lines_[i]);
        begin_event(w, l);
        w.end_object();
        last = l.sequence;
    }
    w.end_array().member("last", last).end_object();
    return out;
}

} // namespace keepwell
