#include "supervisor/feeds/event_hub.h"

#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <utility>

namespace keepwell::feeds {

EventHub::EventHub(Ports ports, Options options)
    : p_(std::move(ports)),
      options_(options),
      turn_timer_(p_.loop, [this] { turn(); }),
      beat_timer_(p_.loop, [this] { beat(); }) {}

EventHub::~EventHub() { end_all(); }

std::string EventHub::next_id() { return p_.boot + "-" + std::to_string(++sequence_); }

bool EventHub::any() {
    std::erase_if(clients_, [](const auto& client) { return client.expired(); });
    return !clients_.empty();
}

std::shared_ptr<StreamClient> EventHub::follow() {
    if (!any()) {
        p_.begin();
        (void)p_.actions();
        beat_timer_.start(options_.heartbeat_ms, options_.heartbeat_ms);
        beat_timer_.unref();
    }
    StreamClient::Options options;
    options.most_bytes = options_.client_bytes;
    options.first = "retry: 3000\n\n" + event_text("hello", next_id(), p_.hello());
    options.gap = [](std::size_t events, std::size_t) {
        return event_text("gap", "", "{\"events\":" + std::to_string(events) + "}");
    };
    auto client = std::make_shared<StreamClient>(std::move(options), turn_, counts_);
    clients_.push_back(client);
    return client;
}

void EventHub::changed() {
    news_ = true;
    if (!clients_.empty()) arm();
}

void EventHub::arm() {
    if (armed_) return;
    armed_ = true;
    const auto since = p_.clock.now() - turned_at_;
    const auto turn = std::chrono::milliseconds(options_.turn_ms);
    const auto left = turn_ == 1 || since >= turn ? Duration{} : turn - since;
    turn_timer_.start(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(left).count()));
    turn_timer_.unref();
}

void EventHub::turn() {
    armed_ = false;
    turned_at_ = p_.clock.now();
    ++turn_;
    if (!any()) return beat_timer_.stop();
    if (std::exchange(news_, false)) {
        for (const std::string& action : p_.actions()) send("action", action);
        if (const std::string status = p_.status(); !status.empty()) send("status", status);
    }
    bool waits = false;
    for (const auto& weak : clients_) {
        const auto client = weak.lock();
        if (!client) continue;
        client->wake();
        waits = waits || client->waiting();
    }
    if (waits) arm();
}

void EventHub::publish(const std::string& name, const std::string& json) { send(name, json); }

void EventHub::send(const std::string& name, const std::string& json, bool essential) {
    if (!any()) return;
    auto event = std::make_shared<StreamEvent>();
    event->bytes = event_text(name, next_id(), json);
    event->essential = essential;
    for (const auto& weak : clients_)
        if (const auto client = weak.lock()) client->push(event);
    arm();
}

void EventHub::beat() {
    if (!any()) return beat_timer_.stop();
    send("heartbeat", "{\"timestamp\":" + json_quote(rfc3339(p_.clock.wall())) + "}", false);
}

void EventHub::end_all() {
    for (const auto& weak : clients_)
        if (const auto client = weak.lock()) client->end();
}

} // namespace keepwell::feeds
