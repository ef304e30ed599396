#include "supervisor/app/feed_service.h"

#include "supervisor/status/json_writer.h"

#include <cerrno>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace keepwell {

// Streams that are open, by the address of their client.
struct FeedService::Slots {
    std::size_t all = 0;
    std::map<std::string, std::size_t> by_address;
};

namespace {

// Different for each run, also of the same pid.
std::string boot_name(const Clock& clock) {
    return fmt::format("{:x}{:x}", clock.wall().ms, getpid());
}

} // namespace

FeedService::FeedService(Ports ports)
    : p_(std::move(ports)),
      boot_(boot_name(p_.clock)),
      slots_(std::make_shared<Slots>()),
      logs_({p_.loop, p_.clock, p_.places, boot_,
             [](const std::string& text) { spdlog::error("{}", text); }},
            {}),
      events_({p_.loop, p_.clock, boot_, [this] { return hello(); }, [this] { return status(); },
               [this] { seen_version_ = p_.fleet.document().version(); },
               [this] { return actions(); }},
              {}) {}

Status FeedService::admit(const std::string& address, std::shared_ptr<void>& token) {
    const Limits most = p_.limits();
    const auto known = slots_->by_address.find(address);
    const std::size_t here = known == slots_->by_address.end() ? 0 : known->second;
    const bool many_here = !address.empty() && here >= most.of_address;
    if (slots_->all >= most.streams || many_here) { // some may only seem to be there
        logs_.beat();
        events_.beat();
    }
    if (slots_->all >= most.streams)
        return Error{fmt::format("cannot open another stream: {} are open; close one, or raise "
                                 "supervisor.api.max_streams",
                                 slots_->all),
                     EAGAIN};
    if (many_here)
        return Error{fmt::format("cannot open another stream: {} are open from this address; "
                                 "close one, or raise supervisor.api.max_streams_per_address",
                                 here),
                     EAGAIN};
    ++slots_->all;
    ++slots_->by_address[address];
    token = std::shared_ptr<void>(nullptr, [slots = slots_, address](void*) {
        --slots->all;
        if (--slots->by_address[address] == 0) slots->by_address.erase(address);
    });
    return Done{};
}

Result<std::shared_ptr<feeds::Stream>> FeedService::follow_logs(feeds::FollowQuestion question,
                                                                const std::string& address) {
    std::shared_ptr<void> token;
    if (const Status admitted = admit(address, token); !admitted) return admitted.error();
    auto client = logs_.follow(std::move(question));
    if (!client) return client.error();
    client.value()->keep(std::move(token));
    return std::shared_ptr<feeds::Stream>(std::move(*client));
}

Result<std::shared_ptr<feeds::Stream>> FeedService::follow_events(const std::string& address) {
    std::shared_ptr<void> token;
    if (const Status admitted = admit(address, token); !admitted) return admitted.error();
    auto client = events_.follow();
    client->keep(std::move(token));
    return std::shared_ptr<feeds::Stream>(std::move(client));
}

void FeedService::end_all() {
    logs_.end_all();
    events_.end_all();
}

ApiCounters* FeedService::counted(ApiCounters& counters) const {
    counters.sse_clients = slots_->all;
    counters.sse_events_dropped = logs_.counts().dropped + events_.counts().dropped;
    return &counters;
}

std::string FeedService::hello() {
    const SupervisorSnapshot s = p_.supervisor();
    std::string out;
    JsonWriter w(out);
    w.begin_object().member("version", s.version).member("host", s.host).member("boot", boot_);
    w.member("sequence", s.sequence).member("started_at", s.started_at);
    w.member("generated_at", s.generated_at).end_object();
    return out;
}

std::string FeedService::status() {
    StatusDocument& document = p_.fleet.document();
    const SupervisorSnapshot s = p_.supervisor();
    std::string figures = s.note + host_status(s.metrics, s.limits);
    const bool figures_changed = figures != seen_figures_;
    if (document.version() == seen_version_ && !figures_changed) return {};
    std::string out = document.render_changes(s, seen_version_);
    seen_version_ = document.version();
    seen_figures_ = std::move(figures);
    return out;
}

// Those that got on since the last call.
std::vector<std::string> FeedService::actions() {
    std::vector<std::string> news;
    std::unordered_map<std::string, std::string> seen;
    for (const std::string& id : p_.fleet.actions().ids()) {
        const auto action = p_.fleet.actions().view(id);
        if (!action) continue;
        std::string json = action_json(*action);
        const auto known = actions_.find(id);
        if (known == actions_.end() || known->second != json) news.push_back(json);
        seen.emplace(id, std::move(json));
    }
    actions_ = std::move(seen);
    return news;
}

} // namespace keepwell
