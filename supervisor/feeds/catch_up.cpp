#include "supervisor/feeds/catch_up.h"

#include "supervisor/feeds/backward_journal.h"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace keepwell::feeds {
namespace {

using Place = FeedCursor::Place;

bool earlier(const FeedPosition& a, const FeedPosition& b) {
    return std::tie(a.sequence, a.offset) < std::tie(b.sequence, b.offset);
}

struct Missed {
    std::vector<CaughtLine> lines; // oldest first
    bool whole = true;             // nothing between the two places is missing
};

class Catcher {
  public:
    Catcher(const LogPlaces& places, std::int64_t since_ms)
        : places_(places), since_ms_(since_ms) {}

    Missed between(std::size_t source, const Place* from, const Place& to) {
        const FeedSource& s = places_.sources[source];
        if (s.kind == FeedSource::Kind::Journal) return of_journal(source, from, to);
        Missed missed;
        if (from != nullptr && from->at == to.at) return missed;
        if (from == nullptr && changed_ms(places_.log_dir, s).value_or(since_ms_ + 1) <= since_ms_)
            return missed;
        return of_file(source, from, to);
    }
    std::size_t room() const { return kMostCaughtUp - std::min(taken_, kMostCaughtUp); }

  private:
    Missed of_file(std::size_t source, const Place* from, const Place& to) {
        Missed missed;
        const auto lines =
            read_backward(places_.log_dir, places_.sources[source], {to.at, std::nullopt}, budget_);
        FeedPosition end = to.at;
        bool reached = false;
        while (!reached && room() > 0) {
            const auto state = lines->next();
            if (!state || *state != BackwardLines::State::More) {
                const bool begins = state && *state == BackwardLines::State::Beginning;
                missed.whole = begins && from == nullptr && !lines->gap();
                if (begins && from != nullptr) // or there was no file yet
                    missed.whole = end == from->at || (from->at.inode == 0 && !lines->gap());
                break;
            }
            FeedPosition begin = lines->place(true);
            FeedLine& line = lines->line();
            if (from == nullptr) {
                const auto time = line.written_ms ? line.written_ms : line.time_ms;
                reached = time && *time <= since_ms_;
            } else {
                const bool replaced = begin.sequence == from->at.sequence && from->at.inode != 0 &&
                                      begin.inode != from->at.inode;
                const bool restarted = earlier(to.at, from->at);
                reached = !replaced && !restarted && earlier(begin, from->at);
            }
            if (reached) break;
            missed.lines.push_back({source, std::move(line), {std::move(end), 0}});
            ++taken_;
            end = std::move(begin);
        }
        if (!reached && room() == 0) missed.whole = from != nullptr && end == from->at;
        std::ranges::reverse(missed.lines);
        return missed;
    }

    Missed of_journal(std::size_t source, const Place* from, const Place& to) {
        Missed missed;
        systemd::JournalQuery query = *places_.sources[source].journal;
        query.forward = true;
        query.lines = systemd::kMostLines;
        if (from != nullptr && !from->at.journal.empty())
            query.after = from->at.journal;
        else
            query.since.ms = since_ms_ + 1;
        if (to.at.journal.empty() || query.after == to.at.journal) return missed;
        for (bool more = true; more;) {
            auto page = systemd::read_journal(query);
            if (!page) return missed;
            more = page->more;
            for (auto& line : page->lines) {
                query.after = line.cursor;
                if (room() == 0 || !budget_.take(line.text.size() + 1)) {
                    missed.whole = false;
                    return missed;
                }
                ++taken_;
                const bool last = line.cursor == to.at.journal;
                missed.lines.push_back(
                    {source,
                     {std::move(line.text), line.time.ms, level_of_priority(line.priority)},
                     {{0, 0, 0, std::move(line.cursor)}, 0}});
                if (last) return missed;
            }
        }
        return missed;
    }

    const LogPlaces& places_;
    std::int64_t since_ms_;
    ReadBudget budget_;
    std::size_t taken_ = 0;
};

// How many lines between the two are not among those found; nullopt: not known.
std::optional<std::uint64_t> lost_between(const Place& from, const Place& to, std::size_t found,
                                          bool same_count) {
    if (!same_count || to.lines >> kEpochShift != from.lines >> kEpochShift ||
        to.lines < from.lines + found)
        return std::nullopt;
    return to.lines - from.lines - found;
}

} // namespace

CatchUp catch_up(const LogPlaces& places, const FeedCursor& from, const FeedCursor& to,
                 bool same_count) {
    CatchUp all;
    Catcher catcher(places, from.time_ms);
    for (std::size_t i = 0; i < places.sources.size(); ++i) {
        const std::uint32_t id = source_id(places.sources[i]);
        const auto end = to.places.find(id);
        if (end == to.places.end()) continue; // it cannot be read
        const auto begin = from.places.find(id);
        const Place* const known = begin == from.places.end() ? nullptr : &begin->second;
        Missed missed = catcher.between(i, known, end->second);
        for (std::size_t n = missed.lines.size(); n-- > 0;)
            missed.lines[n].end.lines = end->second.lines - (missed.lines.size() - 1 - n);
        if (!missed.whole) {
            const auto lost = known == nullptr ? std::nullopt
                                               : lost_between(*known, end->second,
                                                              missed.lines.size(), same_count);
            if (lost != std::optional<std::uint64_t>(0)) {
                all.gap = true;
                all.units.push_back(places.sources[i].unit);
                all.lost = all.lost && lost ? std::optional(*all.lost + *lost) : std::nullopt;
            }
        }
        std::ranges::move(missed.lines, std::back_inserter(all.lines));
    }
    return all;
}

} // namespace keepwell::feeds
