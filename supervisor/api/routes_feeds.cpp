// Routes' part that gives log lines and streams.
#include "supervisor/api/log_query.h"
#include "supervisor/api/routes.h"
#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <cerrno>
#include <memory>

namespace keepwell::api {
namespace {

constexpr std::size_t kLinesByDefault = 50;
constexpr std::size_t kBacklogByDefault = 10;
constexpr Duration kLongestLogRead = std::chrono::seconds(20);

// "web-2026-11-30T12-00-00Z.log": letters that no system minds in a file's name.
std::string download_name(const std::string& type, WallTime now) {
    std::string name = type + "-" + rfc3339(now).substr(0, 19) + "Z.log";
    std::ranges::replace_if(
        name,
        [](char c) {
            const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            return !letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_';
        },
        '-');
    return name;
}

} // namespace

// Read in the pool; `answer` makes the reply once the lines are there.
Reply Routes::ask_logs(feeds::LogPlaces found, feeds::LogQuestion question, LogAnswer answer) {
    struct Read {
        std::shared_ptr<const feeds::LogPlaces> places;
        std::optional<Result<feeds::LogPage>> page;
    };
    auto read = std::make_shared<Read>();
    read->places = std::make_shared<const feeds::LogPlaces>(std::move(found));
    control_.read_logs(read->places, std::move(question),
                       [read](Result<feeds::LogPage> page) { read->page = std::move(page); });
    const auto reply = [this, read, answer = std::move(answer)] {
        if (!read->page)
            return fail(503, "slow", "cannot read the logs in time; ask for fewer lines or again");
        if (*read->page) return answer(*read->places, read->page->value());
        const Error& error = read->page->error();
        if (error.code != EAGAIN) return fail(500, "internal", error.message);
        Reply refused = fail(503, "slow", error.message);
        refused.headers.emplace_back("Retry-After", "5");
        return refused;
    };
    if (read->page) return reply();
    Reply later;
    later.wait = Wait{kLongestLogRead, [read] { return read->page.has_value(); }, reply};
    return later;
}

Reply Routes::get_logs(const Call& call) {
    auto asked = parse_log_request(call.target, clock_.wall(), kLinesByDefault);
    if (!asked) return fail(400, "bad_request", asked.error().message);
    auto found = control_.log_places(asked->type);
    if (!found) return failed(found.error(), "unknown_service");
    return ask_logs(std::move(*found), std::move(asked->question),
                    [this, type = asked->type, text = asked->text](const feeds::LogPlaces& places,
                                                                   const feeds::LogPage& page) {
                        return logs_read(places, page, type, text);
                    });
}

Reply Routes::logs_read(const feeds::LogPlaces& places, const feeds::LogPage& page,
                        const std::string& type, bool text) const {
    Reply reply;
    if (!text) {
        reply.body = feeds::page_json(places, page, clock_.wall());
        return reply;
    }
    reply.body = feeds::page_text(places, page);
    reply.content_type = "text/plain; charset=utf-8";
    reply.headers.emplace_back("Content-Disposition", "attachment; filename=\"" +
                                                          download_name(type, clock_.wall()) +
                                                          "\"");
    if (page.before) reply.headers.emplace_back("X-Keepwell-Before", feeds::encode(*page.before));
    return reply;
}

Reply Routes::streamed(const Result<std::shared_ptr<feeds::Stream>>& stream) const {
    if (!stream && stream.error().code == EAGAIN) {
        Reply refused = fail(503, "too_many_streams", stream.error().message);
        refused.headers.emplace_back("Retry-After", "5");
        return refused;
    }
    if (!stream) return failed(stream.error(), "unknown_service");
    Reply reply;
    reply.stream = stream.value();
    reply.content_type = "text/event-stream; charset=utf-8";
    reply.headers.emplace_back("X-Accel-Buffering", "no");
    return reply;
}

Reply Routes::get_log_stream(const Call& call) {
    auto asked = parse_log_request(call.target, clock_.wall(), kBacklogByDefault);
    if (!asked) return fail(400, "bad_request", asked.error().message);
    feeds::FollowQuestion question;
    question.type = asked->type;
    question.filter = std::move(asked->question.filter);
    question.lines = asked->question.lines;
    for (const char* const name : {"level", "q", "re"}) {
        const auto it = call.target.query.find(name);
        question.filter_text += it == call.target.query.end() ? "" : it->second;
        question.filter_text += '\0';
    }
    question.last_id = call.request.last_event_id;
    // EventSource cannot set the header itself when a page opens a stream anew.
    const auto given = call.target.query.find("last_event_id");
    if (question.last_id.empty() && given != call.target.query.end())
        question.last_id = given->second;
    // What HEAD asks for would be a stream that nobody reads.
    if (call.request.method == "HEAD") return streamed(std::shared_ptr<feeds::Stream>());
    return streamed(control_.follow_logs(std::move(question), call.request.peer.address));
}

Reply Routes::get_event_stream(const Call& call) {
    if (call.request.method == "HEAD") return streamed(std::shared_ptr<feeds::Stream>());
    return streamed(control_.follow_events(call.request.peer.address));
}

} // namespace keepwell::api
