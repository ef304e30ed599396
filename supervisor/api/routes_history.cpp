// What was: /api/history, and /api/events further back than the supervisor's memory.
#include "supervisor/api/routes.h"

#include "supervisor/api/moment.h"
#include "supervisor/api/query.h"
#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <cerrno>
#include <memory>

namespace keepwell::api {

namespace {

constexpr Duration kLongestQuery = std::chrono::seconds(10);
constexpr std::uint64_t kMostPastEvents = 10'000;

std::string parameter(const Target& target, const std::string& name, const std::string& absent) {
    const auto it = target.query.find(name);
    return it == target.query.end() ? absent : it->second;
}

} // namespace

Reply Routes::past(const Result<std::string>& result) const {
    if (!result && result.error().code == ENODATA)
        return fail(503, "no_history", result.error().message);
    return document(result);
}

// The worker reads; this request waits for it, and nobody else does.
Reply Routes::ask_past(const std::function<void(Control::Answer)>& ask) {
    auto result = std::make_shared<std::optional<Result<std::string>>>();
    ask([result](Result<std::string> r) { *result = std::move(r); });
    if (*result) return past(**result);
    Reply later;
    later.wait = Wait{kLongestQuery, [result] { return result->has_value(); },
                      [this, result] {
                          if (*result) return past(**result);
                          return fail(503, "slow",
                                      "cannot read the history in time: its disk is slow; try "
                                      "again");
                      }};
    return later;
}

Reply Routes::get_history(const Call& call) {
    const std::string name = call.at(2);
    const std::string text = parameter(call.target, "range", "24h");
    const auto range = history::parse_range(text);
    if (!range)
        return fail(
            400, "bad_request",
            fmt::format("cannot read the range {}; it is 1h, 24h, 7d or 90d", json_quote(text)));
    if (!control_.unit(name)) return unknown_service(name);
    return ask_past([&](Control::Answer done) { control_.history(name, *range, std::move(done)); });
}

Reply Routes::get_past_events(const Call& call) {
    const auto since = parse_moment(parameter(call.target, "since_time", ""), clock_.wall());
    if (!since)
        return fail(400, "bad_request",
                    "cannot read since_time: it is a time like 2026-01-31T12:00:00Z, unix seconds, "
                    "or how long ago (like 2h)");
    const auto sequence = number_of(call.target, "since", 0);
    const auto limit = number_of(call.target, "limit", 1000);
    if (!sequence || !limit)
        return fail(400, "bad_request", "cannot read since or limit: not a number");
    const auto most = static_cast<std::size_t>(std::min(*limit, kMostPastEvents));
    return ask_past([&](Control::Answer done) {
        control_.past_events(*since, *sequence, most, std::move(done));
    });
}

} // namespace keepwell::api
