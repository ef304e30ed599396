// GET /api/status: the shared bytes, and the same with the last lines of every log.
#include "supervisor/api/query.h"
#include "supervisor/api/routes.h"
#include "supervisor/feeds/log_page.h"
#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <map>
#include <memory>

namespace keepwell::api {

namespace {

constexpr std::size_t kMostLines = 200;
// As StatusDocument writes it; in a text the quotes would be escaped.
constexpr std::string_view kNoLogs = "\"logs\":{\"logs\":{}";

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
    if (etag_matches(if_none_match, etag))
        reply.status = 304;
    else
        reply.shared_body = std::move(body);
    reply.headers.emplace_back("ETag", etag);
    return reply;
}

} // namespace

Reply Routes::get_status(const Call& call) {
    const auto lines = number_of(call.target, "logs", 0);
    if (!lines || *lines > kMostLines)
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
    feeds::LogQuestion question;
    question.asked = "all";
    question.lines = lines;
    question.now_ms = clock_.wall().ms;
    return ask_logs(std::move(*found), std::move(question),
                    [this, known = call.request.if_none_match](const feeds::LogPlaces& places,
                                                               const feeds::LogPage& page) {
                        auto body = std::make_shared<const std::string>(
                            with_logs(*control_.status().body, by_unit(places, page)));
                        const std::string etag = etag_of(*body);
                        return unless_known(std::move(body), etag, known);
                    });
}

} // namespace keepwell::api
