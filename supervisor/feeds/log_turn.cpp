#include "supervisor/feeds/log_turn.h"

#include "supervisor/feeds/catch_up.h"
#include "supervisor/feeds/event_builder.h"
#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <utility>

namespace keepwell::feeds {
namespace {

constexpr std::size_t kMostPlaces = 250;  // in an id
constexpr std::int64_t kQuietMs = 60'000; // a source that is quiet so long is known by the time
constexpr std::int64_t kTimeSlackMs = 30'000;
constexpr std::size_t kFullLogTurn = 8U << 20; // bytes of lines

// Of a place that a client gives, what is about the topic: the rest would be in every id.
FeedCursor places_within(const Topic& topic, const FeedCursor& from) {
    FeedCursor cursor;
    cursor.asked = from.asked;
    cursor.time_ms = from.time_ms;
    for (const auto& f : topic.followers)
        if (const auto it = from.places.find(f->id); it != from.places.end())
            cursor.places.insert(*it);
    return cursor;
}

} // namespace

FeedCursor places_of(const Topic& topic, bool before, WallTime now) {
    FeedCursor cursor;
    cursor.asked = hash_of(topic.type);
    cursor.time_ms = now.ms - kTimeSlackMs;
    const bool few = topic.followers.size() <= 16;
    for (const auto& f : topic.followers) {
        const bool indexed =
            f->source.kind == FeedSource::Kind::File && !is_daemons_own(f->source.name);
        const bool quiet = indexed && f->read_ms < now.ms - kQuietMs;
        if ((few || !quiet) && f->lines && cursor.places.size() < kMostPlaces)
            cursor.places[f->id] = before ? f->before : f->at;
    }
    return cursor;
}

void LogTurn::run() {
    std::size_t bytes = read();
    for (Hearers& topic : topics) tell(topic);
    std::vector<JoinPtr> all = std::exchange(joins, {});
    for (JoinPtr& join : all) {
        const bool is_full = bytes >= kFullLogTurn && !joins.empty(); // one of them in any case
        if (!is_full) bytes += prepare(*join);
        (is_full ? late_joins : joins).push_back(std::move(join));
    }
}

// Those that have waited longest first. New ones are read in any case: it gives them their place.
std::size_t LogTurn::read() {
    std::size_t bytes = 0;
    std::ranges::stable_sort(followers, {}, [](const FollowerPtr& f) { return f->turn; });
    for (const FollowerPtr& f : followers) {
        const bool is_new = !f->lines;
        if (!is_new && bytes >= kFullLogTurn) {
            late.push_back(f);
            continue;
        }
        if (is_new) f->open(log_dir, epoch, now.ms);
        f->turn = number;
        bytes += f->read(redactor, now.ms);
    }
    return bytes;
}

void LogTurn::tell(Hearers& to) const {
    const Topic& topic = *to.topic;
    EventBuilder builder(boot, places_of(topic, true, now), now);
    for (const auto& follower : topic.followers) {
        if (follower->lost || follower->skipped > 0)
            builder.gap(follower->lost ? std::nullopt : std::optional(follower->skipped),
                        follower->lost ? "rotated" : "slow", {follower->source.unit});
        for (const ReadLine& line : follower->fresh) {
            if (!topic.filter.wants(line.level, line.shown)) continue;
            builder.add(follower->source.unit, line.json);
            builder.move_to(follower->id, line.end);
        }
        if (!follower->fresh.empty()) builder.move_to(follower->id, follower->at);
    }
    to.events = builder.take();
}

std::size_t LogTurn::prepare(Join& join) const {
    if (join.client.expired()) return 0;
    const std::size_t bytes =
        join.from ? add_missed(join, join.events) : add_backlog(join, join.events);
    EventBuilder last(boot, places_of(*join.topic, false, now), now);
    last.heartbeat(true);
    join.place = last.take().front();
    return bytes;
}

std::size_t LogTurn::add_missed(Join& join, std::vector<EventPtr>& to) const {
    const Topic& topic = *join.topic;
    const FeedCursor from = places_within(topic, *join.from);
    FeedCursor until;
    for (const auto& f : topic.followers) until.places[f->id] = f->at;
    CatchUp missed = catch_up(*topic.places, from, until, join.same_boot);
    EventBuilder builder(boot, from, now);
    if (missed.gap) builder.gap(missed.lost, "rotated", missed.units);
    std::size_t bytes = 0;
    for (CaughtLine& caught : missed.lines) {
        const FeedSource& source = topic.places->sources[caught.source];
        const std::string text = shown_text(redactor.apply(std::move(caught.line.text)));
        bytes += text.size();
        if (topic.filter.wants(caught.line.level, text)) {
            std::string json;
            append_line_json(json, source, caught.line.time_ms, caught.line.level, text);
            builder.add(source.unit, json);
        }
        builder.move_to(topic.followers[caught.source]->id, std::move(caught.end));
    }
    to = builder.take();
    return bytes;
}

std::size_t LogTurn::add_backlog(Join& join, std::vector<EventPtr>& to) const {
    if (join.backlog == 0) return 0;
    const Topic& topic = *join.topic;
    LogQuestion question;
    question.lines = join.backlog;
    question.filter = topic.filter;
    question.before.emplace();
    question.before->asked = join.asked;
    question.before->time_ms = question.now_ms = now.ms;
    for (const auto& f : topic.followers) question.before->places[f->id] = f->at;
    const auto page = read_page(*topic.places, question);
    if (!page) return 0;
    EventBuilder builder(boot, places_of(topic, false, now), now);
    std::size_t bytes = 0;
    for (const PageLine& line : page.value().lines) {
        const FeedSource& source = topic.places->sources[line.source];
        std::string json;
        append_line_json(json, source, line.time_ms, line.level, line.text);
        builder.add(source.unit, json);
        bytes += line.text.size();
    }
    to = builder.take();
    return bytes;
}

} // namespace keepwell::feeds
