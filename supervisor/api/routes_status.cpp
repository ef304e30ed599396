// GET /api/status: the shared bytes, and the same with the last lines of every log.
#include "supervisor/api/query.h"
#include "supervisor/api/routes.h"
#include "supervisor/feeds/log_page.h"
#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <memory>
#include <optional>

namespace keepwell::api {

namespace {

constexpr std::size_t kMostLines = 200;
constexpr Duration kLongestRead = std::chrono::seconds(20);
// As StatusDocument writes it; in a text the quotes would be escaped.
constexpr std::string_view kNoLogs = "\"logs\":{\"logs\":{}";

// nullopt when it is no number or too many.
std::optional<std::size_t> lines_asked(const Target& target) {
    const auto found = target.query.find("logs");
    if (found == target.query.end()) return 0;
    std::size_t lines = 0;
    const char* end = found->second.data() + found->second.size();
    const auto [stop, error] = std::from_chars(found->second.data(), end, lines);
    if (error != std::errc() || stop != end || lines > kMostLines) return std::nullopt;
    return lines;
}

// {"web":[{…}]}, the lines of each in their order.
std::string by_unit(const feeds::LogPlaces& places, const feeds::LogPage& page) {
    std::map<std::string, std::string> units;
    for (const auto& line : page.lines) {
        const feeds::FeedSource& source = places.sources[line.source];
        std::string& lines = units[source.unit];
        if (!lines.empty()) lines += ',';
        feeds::append_line_json(lines, source, line.time_ms, line.level, line.text);
    }
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    for (const auto& [unit, lines] : units) w.raw_member(unit, "[" + lines + "]");
    w.end_object();
    return out;
}

std::string with_logs(const std::string& document, const std::string& logs) {
    const auto at = document.rfind(kNoLogs); // `data` comes near the end
    if (at == std::string::npos) return document;
    std::string out = document;
    return out.replace(at, kNoLogs.size(), "\"logs\":{\"logs\":" + logs);
}

Reply unless_known(std::shared_ptr<const std::string> body, const std::string& etag,
                   const std::string& if_none_match) {
    Reply reply;
    if (if_none_match == "*" || if_none_match.find(etag) != std::string::npos)
        reply.status = 304;
    else
        reply.shared_body = std::move(body);
    reply.headers.emplace_back("ETag", etag);
    return reply;
}

} // namespace

Reply Routes::get_status(const Call& call) {
    const auto lines = lines_asked(call.target);
    if (!lines)
        return fail(400, "bad_request",
                    fmt::format("cannot read logs: use a number from 0 to {}", kMostLines));
    if (*lines > 0) return status_with_logs(call, *lines);
    const StatusBytes& bytes = control_.status();
    return unless_known(bytes.body, bytes.etag, call.request.if_none_match);
}

// Read in the pool; the document is that of the moment when the lines are there.
Reply Routes::status_with_logs(const Call& call, std::size_t lines) {
    if (auto refused = denied(call.request, Scope::Logs)) return *refused;
    auto found = control_.log_places("all");
    if (!found) return failed(found.error(), "unknown_service");
    struct Read {
        std::shared_ptr<const feeds::LogPlaces> places;
        std::optional<Result<feeds::LogPage>> page;
        std::string known;
    };
    auto read = std::make_shared<Read>();
    read->places = std::make_shared<const feeds::LogPlaces>(std::move(*found));
    read->known = call.request.if_none_match;
    feeds::LogQuestion question;
    question.asked = "all";
    question.lines = lines;
    question.now_ms = clock_.wall().ms;
    control_.read_logs(read->places, std::move(question),
                       [read](Result<feeds::LogPage> page) { read->page = std::move(page); });
    const auto answer = [this, read] {
        if (!read->page)
            return fail(503, "slow", "cannot read the logs in time; ask for fewer lines or again");
        if (!*read->page) return fail(500, "internal", read->page->error().message);
        auto body = std::make_shared<const std::string>(
            with_logs(*control_.status().body, by_unit(*read->places, read->page->value())));
        const std::string etag = etag_of(*body);
        return unless_known(std::move(body), etag, read->known);
    };
    if (read->page) return answer();
    Reply later;
    later.wait = Wait{kLongestRead, [read] { return read->page.has_value(); }, answer};
    return later;
}

} // namespace keepwell::api
