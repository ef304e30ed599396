#include "supervisor/feeds/follower.h"

#include <utility>

namespace keepwell::feeds {
namespace {

constexpr std::uint64_t kFirstCount = std::uint64_t{1} << 32; // lines before it can be counted back
constexpr std::uint64_t kUncounted = std::uint64_t{1} << 52;  // above every run of a follower
constexpr std::size_t kFullTurn = 512U << 10;                 // bytes

ReadLine read_line(const FeedSource& source, const Redactor& redactor, FollowedLine line,
                   std::uint64_t count) {
    ReadLine out;
    out.shown = shown_text(redactor.apply(std::move(line.line.text)));
    out.level = line.line.level;
    append_line_json(out.json, source, line.line.time_ms, line.line.level, out.shown);
    out.end = {std::move(line.end), count};
    return out;
}

} // namespace

void Follower::open(const std::string& log_dir, std::uint64_t epoch, std::int64_t now_ms) {
    lines = follow(log_dir, source, since_ms);
    read_ms = now_ms; // it may have had lines just before
    at = before = {lines->place(), (epoch << kEpochShift) + kFirstCount};
}

std::size_t Follower::read(const Redactor& redactor, std::int64_t now_ms) {
    fresh.clear();
    before = at;
    more = lost = false;
    skipped = 0;
    auto polled = lines->poll();
    if (!polled) return 0; // it is tried again
    lost = lines->take_lost();
    if (wanted && polled->size() > kMostFresh) skipped = polled->size() - kMostFresh;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < polled->size(); ++i) {
        bytes += polled->at(i).line.text.size();
        const std::uint64_t count = at.lines + i + 1;
        if (wanted && i >= skipped)
            fresh.push_back(read_line(source, redactor, std::move(polled->at(i)), count));
    }
    more = bytes >= kFullTurn || polled->size() >= kMostFresh;
    if (!polled->empty()) read_ms = now_ms;
    // What it did not see it could not count: what is counted from here on is compared with nothing
    // before.
    const std::uint64_t anew = lost ? kUncounted : 0;
    at = {lines->place(), at.lines + polled->size() + anew};
    return bytes;
}

void Follower::clear_fresh() {
    std::vector<ReadLine>().swap(fresh);
    lost = false;
    skipped = 0;
    before = at;
}

} // namespace keepwell::feeds
