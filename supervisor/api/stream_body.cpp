#include "supervisor/api/stream_body.h"

#include <microhttpd.h>

#include <cstdint>
#include <exception>

namespace keepwell::api {
namespace {

constexpr std::size_t kBlock = 16U << 10;
constexpr unsigned kDeafSeconds = 120; // a client that takes nothing so long is gone

} // namespace

MHD_Response* StreamBodies::respond(MHD_Connection* connection,
                                    std::shared_ptr<feeds::Stream> stream,
                                    std::function<bool()> may_go_on) {
    auto body = std::make_unique<Body>();
    body->owner = this;
    body->connection = connection;
    body->stream = std::move(stream);
    body->may_go_on = std::move(may_go_on);
    MHD_Response* response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, kBlock,
        // The types of its callback differ between systems.
        [](void* cls, std::uint64_t at, char* to, std::size_t size) -> ssize_t {
            return read_edge(cls, at, to, size);
        },
        body.get(), &free_edge);
    if (response == nullptr) return nullptr;
    MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, kDeafSeconds);
    body->stream->on_wake([this, b = body.get()] {
        b->woken = true;
        if (b->suspended) run_soon_();
    });
    bodies_.push_front(body.get());
    body->place = bodies_.begin();
    (void)body.release(); // free_edge() has it
    return response;
}

long StreamBodies::read_edge(void* body, unsigned long long, char* to, std::size_t size) noexcept {
    auto& b = *static_cast<Body*>(body);
    try {
        return b.owner->read(b, to, size);
    } catch (const std::exception&) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
}

long StreamBodies::read(Body& body, char* to, std::size_t size) {
    body.woken = false;
    if (body.over) return MHD_CONTENT_READER_END_OF_STREAM;
    const auto given = body.stream->read(to, size);
    if (!given || (*given == 0 && ended_)) return MHD_CONTENT_READER_END_OF_STREAM;
    if (*given > 0) return static_cast<long>(*given);
    body.suspended = true;
    MHD_suspend_connection(body.connection);
    return 0;
}

void StreamBodies::free_edge(void* body) noexcept {
    const std::unique_ptr<Body> b(static_cast<Body*>(body));
    b->owner->bodies_.erase(b->place);
    b->stream->on_wake({});
}

void StreamBodies::resume_woken() {
    for (Body* body : bodies_) {
        if (!body->suspended || (!body->woken && !ended_)) continue;
        body->suspended = false;
        MHD_resume_connection(body->connection);
    }
}

std::size_t StreamBodies::review() {
    std::size_t guarded = 0;
    bool ended = false;
    for (Body* body : bodies_) {
        if (!body->may_go_on || body->over) continue;
        if (body->may_go_on())
            ++guarded;
        else
            ended = body->over = body->woken = true;
    }
    if (ended) run_soon_();
    return guarded;
}

void StreamBodies::end_all() {
    ended_ = true;
    resume_woken();
}

} // namespace keepwell::api
