#include "supervisor/feeds/log_page.h"

#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <memory>

namespace keepwell::feeds {
namespace {

constexpr std::int64_t kLatest = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kOlderInARow = 200;
constexpr std::int64_t kDisorderMs = 10'000; // between lines of one source, by their own times
// Of a source that has nothing older.
const FeedPosition kExhausted{0, 0, std::numeric_limits<std::uint64_t>::max(), {}};

using State = BackwardLines::State;

// One source of the merge. It is opened when its turn may have come: a quiet unit costs a stat.
struct Strand {
    std::size_t source = 0;
    std::unique_ptr<BackwardLines> lines; // none: not opened yet
    BackwardStart start;
    std::optional<std::int64_t> newest_ms; // what is newer came after the cursor was made
    bool reached = false;                  // what is not newer
    std::int64_t time = kLatest;           // of the line at hand; before: no line is later
    bool has_line = false;
    std::size_t older = 0; // than what is asked for, in a row
    bool over = false;     // no more for this page
    bool exhausted = false;
};

class Merge {
  public:
    Merge(const LogPlaces& places, const LogQuestion& question)
        : places_(places), question_(question) {}

    Result<LogPage> run() {
        auto redactor = Redactor::compile(places_.redact);
        if (!redactor) return Error{"cannot redact: " + redactor.error().message, 0};
        redactor_ = std::move(*redactor);
        begin();
        while (page_.lines.size() < question_.lines) {
            Strand* const next = latest();
            if (next == nullptr) break;
            if (!next->has_line) {
                step(*next);
                continue;
            }
            take(*next);
            next->has_line = false;
        }
        std::ranges::reverse(page_.lines);
        finish();
        return std::move(page_);
    }

  private:
    void begin() {
        for (std::size_t i = 0; i < places_.sources.size(); ++i) {
            Strand strand;
            strand.source = i;
            strand.start.until_ms = question_.until_ms;
            strand.time = changed_ms(places_.log_dir, places_.sources[i]).value_or(kLatest);
            if (question_.before) continue_at(strand);
            strands_.push_back(std::move(strand));
        }
    }
    void continue_at(Strand& strand) const {
        const FeedSource& source = places_.sources[strand.source];
        const auto known = question_.before->places.find(source_id(source));
        const bool journal = source.kind == FeedSource::Kind::Journal;
        if (known == question_.before->places.end() ||
            (journal && known->second.at == FeedPosition{})) {
            strand.newest_ms = question_.before->time_ms;
            strand.start.until_ms =
                std::min(question_.until_ms.value_or(kLatest), *strand.newest_ms);
            return;
        }
        strand.exhausted = strand.over = known->second.at == kExhausted;
        strand.start.before = known->second.at;
    }

    // The one whose line comes next, towards the past, or that must be looked at first.
    Strand* latest() {
        Strand* found = nullptr;
        for (Strand& strand : strands_)
            if (!strand.over && (found == nullptr || strand.time > found->time ||
                                 (strand.time == found->time && !strand.has_line)))
                found = &strand;
        if (found != nullptr && question_.since_ms && !found->lines &&
            found->time < *question_.since_ms - kDisorderMs) {
            for (Strand& strand : strands_) strand.over = strand.exhausted = true;
            return nullptr; // nor has any other
        }
        if (found != nullptr && !found->has_line && spent_) return after_spent(*found);
        return found;
    }
    // What was not looked at may be later than what is at hand: the page ends here, unless it would
    // be no step forward at all.
    Strand* after_spent(Strand& unseen) {
        if (moved_) return nullptr;
        unseen.over = true;
        return latest();
    }

    void step(Strand& strand) {
        if (!strand.lines)
            strand.lines = read_backward(places_.log_dir, places_.sources[strand.source],
                                         strand.start, budget_);
        const auto state = strand.lines->next();
        if (!state) {
            page_.troubles.push_back({strand.source, without_path(strand, state.error().message)});
            strand.over = strand.exhausted = true;
            return;
        }
        switch (*state) {
        case State::More:
            strand.has_line = true;
            strand.time = std::min(strand.time, order_of(strand.lines->line()));
            return;
        case State::Beginning:
            strand.over = strand.exhausted = true;
            if (strand.lines->gap()) page_.troubles.push_back({strand.source, {}});
            return;
        case State::Spent:
            spent_ = strand.over = true;
            moved_ = moved_ || strand.start.before != strand.lines->place(true);
            return;
        }
    }

    // A line without a time belongs to the one that follows it. When it was written says more
    // than what it claims.
    static std::int64_t order_of(const FeedLine& line) {
        return line.written_ms.value_or(line.time_ms.value_or(kLatest));
    }

    // What is said to clients names no folder of the machine.
    std::string without_path(const Strand& strand, std::string text) const {
        const std::string path = log_path(places_.log_dir, places_.sources[strand.source].name);
        const auto at = text.find(path);
        if (at != std::string::npos) text.replace(at, path.rfind('/') + 1, "");
        return text;
    }

    void take(Strand& strand) {
        moved_ = true;
        FeedLine& line = strand.lines->line();
        const std::int64_t order = std::min(strand.time, order_of(line));
        const std::int64_t time = line.time_ms.value_or(order);
        if (strand.newest_ms && order != kLatest && order > *strand.newest_ms) return;
        strand.reached = true;
        if (question_.until_ms && time != kLatest && time > *question_.until_ms) return;
        if (question_.since_ms && time < *question_.since_ms) return pass_older(strand, line);
        strand.older = 0;
        std::string text = shown_text(redactor_.apply(std::move(line.text)));
        if (question_.filter.wants(line.level, text))
            page_.lines.push_back({strand.source, line.time_ms, line.level, std::move(text)});
    }
    // One line with a wrong date does not end the search.
    void pass_older(Strand& strand, const FeedLine& line) const {
        ++strand.older;
        strand.over = line.written_ms ? *line.written_ms < *question_.since_ms - kDisorderMs
                                      : strand.older > kOlderInARow;
        strand.exhausted = strand.over;
    }

    void finish() {
        const bool unseen_are_old = !spent_ && page_.lines.size() < question_.lines;
        FeedCursor cursor;
        cursor.asked = hash_of(question_.asked);
        cursor.time_ms = question_.before ? question_.before->time_ms : question_.now_ms;
        bool more = false;
        for (Strand& strand : strands_) {
            const FeedSource& source = places_.sources[strand.source];
            if (!strand.lines && !strand.exhausted) {
                more = more || !unseen_are_old;
                if (strand.start.before)
                    cursor.places[source_id(source)] = {*strand.start.before, 0};
                continue;
            }
            if (strand.newest_ms && !strand.reached && !strand.exhausted) { // its time still counts
                more = true;
                continue;
            }
            FeedPosition at = strand.exhausted ? kExhausted : strand.lines->place(!strand.has_line);
            more = more || !strand.exhausted;
            cursor.places[source_id(source)] = {std::move(at), 0};
        }
        if (more) page_.before = std::move(cursor);
    }
    const LogPlaces& places_;
    const LogQuestion& question_;
    Redactor redactor_;
    ReadBudget budget_;
    std::vector<Strand> strands_;
    LogPage page_;
    bool spent_ = false, moved_ = false;
};

} // namespace

Result<LogPage> read_page(const LogPlaces& places, const LogQuestion& question) {
    try {
        return Merge(places, question).run();
    } catch (const std::exception& e) {
        return Error{std::string("cannot read the logs: ") + e.what(), 0};
    }
}

} // namespace keepwell::feeds
