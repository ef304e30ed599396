#include "supervisor/feeds/log_hub.h"

#include "supervisor/feeds/event_builder.h"
#include "supervisor/feeds/log_turn.h"
#include "supervisor/feeds/log_wake.h"
#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

namespace keepwell::feeds {
namespace {

constexpr std::uint64_t kLookAllEvery = 6;      // refreshes
constexpr std::size_t kCatchUpBytes = 4U << 20; // of events, until they are sent

} // namespace

struct LogHub::Impl : std::enable_shared_from_this<Impl> {
    Impl(Ports p, Options o)
        : ports(std::move(p)),
          options(o),
          wake(ports.loop, [this] { arm(); }),
          turn_timer(ports.loop, [this] { on_turn(); }),
          beat_timer(ports.loop, [this] { beat(); }),
          look_timer(ports.loop, [this] { look(); }) {
        turn_timer.unref();
        beat_timer.unref();
        look_timer.unref();
    }

    // -- topics and sources

    Result<TopicPtr> topic_of(FollowQuestion& question, LogPlaces places) {
        const std::string name = question.type + '\0' + question.filter_text;
        for (const auto& topic : topics)
            if (topic->name == name) return topic;
        auto topic = std::make_shared<Topic>();
        topic->type = question.type;
        topic->name = name;
        topic->filter = std::move(question.filter);
        if (const Status set = set_places(*topic, std::move(places)); !set) return set.error();
        topics.push_back(topic);
        return topic;
    }

    // Nothing is told that is not redacted as it is to be.
    Status set_places(Topic& topic, LogPlaces places) {
        if (places.redact != redact || !redactor) {
            auto compiled = Redactor::compile(places.redact);
            if (!compiled)
                return Error{"cannot follow the logs: supervisor.api.redact cannot be used: " +
                                 compiled.error().message + "; correct it and reload",
                             0};
            redactor = std::move(*compiled);
            redact = places.redact;
        }
        log_dir = places.log_dir;
        topic.followers.clear();
        const bool again = topic.places != nullptr;
        for (const FeedSource& source : places.sources)
            topic.followers.push_back(follower_of(source, again));
        topic.places = std::make_shared<const LogPlaces>(std::move(places));
        return Done{};
    }

    // is_new: the unit came while others of the topic were followed.
    FollowerPtr follower_of(const FeedSource& source, bool is_new) {
        FollowerPtr& follower = followers[source_id(source)];
        if (!follower) {
            follower = std::make_shared<Follower>();
            follower->source = source;
            follower->id = source_id(source);
            if (is_new) follower->since_ms = refreshed_ms;
            dirty[follower->id] = follower;
            const bool watched =
                source.kind == FeedSource::Kind::File && wake.watch(log_path(log_dir, source.name));
            (watched ? by_path[log_path(log_dir, source.name)] : unwatched).push_back(follower);
        }
        return follower;
    }

    Result<std::shared_ptr<StreamClient>> follow(FollowQuestion question) {
        auto places = ports.places(question.type);
        if (!places) return places.error();
        auto join = std::make_shared<Join>();
        join->backlog = question.lines;
        const std::uint32_t asked = hash_of(question.type);
        if (!question.last_id.empty()) {
            const auto dash = question.last_id.find('-');
            if (dash != std::string::npos)
                join->from = decode_cursor(std::string_view(question.last_id).substr(dash + 1));
            if (!join->from || join->from->asked != asked)
                return Error{"cannot resume: this is no id of an event of this stream", EINVAL};
            join->same_boot = question.last_id.substr(0, dash) == ports.boot;
        }
        auto topic = topic_of(question, std::move(*places));
        if (!topic) return topic.error();
        join->topic = std::move(*topic);
        join->asked = asked;
        StreamClient::Options of_client;
        of_client.most_bytes = options.client_bytes;
        of_client.gap = [](std::size_t, std::size_t lines) {
            return event_text("gap", "", gap_json(lines, "slow", {}));
        };
        auto made = std::make_shared<StreamClient>(std::move(of_client), turn, counted);
        join->client = made;
        std::erase_if(clients, [](const auto& client) { return client.expired(); });
        clients.push_back(made);
        joins.push_back(std::move(join));
        awake();
        arm();
        return made;
    }

    // -- turns

    void awake() {
        if (refreshed_ms == 0) refreshed_ms = ports.clock.wall().ms;
        idle_since = 0;
        if (std::exchange(is_awake, true)) return;
        beat_timer.start(options.heartbeat_ms, options.heartbeat_ms);
        look_timer.start(options.look_ms, options.look_ms);
        beat_timer.unref();
        look_timer.unref();
    }

    void arm() {
        if (armed) return;
        armed = true;
        const auto since = ports.clock.now() - turned_at;
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
        const auto gone =
            turn == 1 ? options.turn_ms : static_cast<std::uint64_t>(std::max<std::int64_t>(ms, 0));
        turn_timer.start(gone >= options.turn_ms ? 0 : options.turn_ms - gone);
    }

    void on_turn() {
        armed = false;
        turned_at = ports.clock.now();
        ++turn;
        bool everything = false;
        for (const std::string& path : wake.take(everything))
            if (const auto it = by_path.find(path); it != by_path.end())
                for (const auto& follower : it->second) dirty[follower->id] = follower;
        if (everything) dirty = {followers.begin(), followers.end()};
        read();
        for_clients([](StreamClient& client) { client.wake(); });
        bool waits = false;
        for_clients([&waits](StreamClient& client) { waits = waits || client.waiting(); });
        if (waits) arm();
    }

    void read() {
        if (reading || (dirty.empty() && joins.empty())) return;
        for (const auto& topic : topics)
            std::erase_if(topic->clients, [](const auto& client) { return client.expired(); });
        drop_topics();
        auto job = std::make_shared<LogTurn>();
        job->boot = ports.boot;
        job->log_dir = log_dir;
        job->epoch = epoch;
        job->number = turn;
        if (redactor) job->redactor = *redactor;
        job->now = ports.clock.wall();
        job->joins = std::exchange(joins, {});
        for (const auto& topic : topics)
            if (!topic->clients.empty()) job->topics.push_back({topic, {}});
        for (auto& [id, follower] : std::exchange(dirty, {})) job->followers.push_back(follower);
        mark_wanted(*job);
        reading = uv::run_in_pool(
            ports.loop, [job] { job->run(); },
            [weak = weak_from_this(), job] {
                if (const auto self = weak.lock()) self->have_read(*job);
            });
    }

    static void mark_wanted(const LogTurn& job) {
        for (const auto& follower : job.followers) follower->wanted = false;
        for (const auto& hearers : job.topics)
            for (const auto& follower : hearers.topic->followers) follower->wanted = true;
    }

    void drop_topics() {
        std::erase_if(topics, [this](const TopicPtr& topic) {
            const bool joining = std::ranges::any_of(
                joins, [&topic](const auto& join) { return join->topic == topic; });
            return topic->clients.empty() && !joining;
        });
    }

    void have_read(LogTurn& job) {
        reading.reset();
        for (const auto& hearers : job.topics) send(*hearers.topic, hearers.events);
        for (const auto& follower : job.followers) {
            if (follower->more) dirty[follower->id] = follower;
            follower->clear_fresh();
        }
        for (const auto& follower : job.late) dirty[follower->id] = follower;
        for (const auto& join : job.joins) enter(*join);
        joins.insert(joins.begin(), job.late_joins.begin(), job.late_joins.end());
        if (beat_due) beat();
        for_clients([](StreamClient& client) { client.wake(); });
        arm_if_needed();
    }

    void arm_if_needed() {
        bool waits = !dirty.empty() || !joins.empty();
        for_clients([&waits](StreamClient& client) { waits = waits || client.waiting(); });
        if (waits) arm();
    }

    // -- events

    static void send(const Topic& topic, const std::vector<EventPtr>& events) {
        for (const auto& weak : topic.clients)
            if (const auto client = weak.lock())
                for (const auto& event : events) client->push(event);
    }

    // From here on the client hears what the others do.
    void enter(Join& join) const {
        const auto client = join.client.lock();
        if (!client || !join.place) return;
        client->allow(kCatchUpBytes);
        for (auto& event : join.events) client->push(std::move(event));
        client->push(std::move(join.place));
        client->allow(client->queued() + options.client_bytes); // the rest as for everybody
        join.topic->clients.push_back(client);
    }

    // -- now and then

    void beat() {
        beat_due = reading != nullptr; // the places are being moved
        if (beat_due) return;
        for (const auto& topic : topics) {
            const WallTime now = ports.clock.wall();
            EventBuilder builder(ports.boot, places_of(*topic, false, now), now);
            builder.heartbeat();
            send(*topic, builder.take());
        }
        for_clients([](StreamClient& client) { client.wake(); });
    }

    void look() {
        for (const auto& follower : unwatched) dirty[follower->id] = follower;
        looked_ms += options.look_ms;
        if (looked_ms >= options.refresh_ms) {
            looked_ms = 0;
            refresh();
        }
        if (counted->clients == 0) {
            idle_since += options.look_ms;
            if (idle_since >= options.linger_ms && !reading) return rest();
        }
        if (!dirty.empty()) arm();
    }

    // Units that came are followed, too; inotify may have missed something.
    void refresh() {
        if (reading) return;
        for (const auto& topic : topics) {
            auto places = ports.places(topic->type);
            if (!places) continue;
            const Status set = set_places(*topic, std::move(*places));
            complain(set ? std::string() : set.error().message); // it goes on as it was
        }
        refreshed_ms = ports.clock.wall().ms;
        if (++refreshes % kLookAllEvery == 0) dirty = {followers.begin(), followers.end()};
    }

    void complain(const std::string& text) { // once
        if (std::exchange(complaint, text) != text && !text.empty() && ports.report)
            ports.report(text);
    }

    void rest() {
        topics.clear();
        followers.clear();
        by_path.clear();
        unwatched.clear();
        dirty.clear();
        wake.forget_all();
        beat_timer.stop();
        look_timer.stop();
        is_awake = false;
        refreshed_ms = 0;
        ++epoch;
    }

    template <class F>
    void for_clients(F f) const {
        for (const auto& weak : clients)
            if (const auto client = weak.lock()) f(*client);
    }

    Ports ports;
    Options options;
    LogWake wake;
    std::string log_dir;
    std::vector<std::string> redact;
    std::optional<Redactor> redactor;
    std::string complaint;
    std::vector<TopicPtr> topics;
    std::vector<std::weak_ptr<StreamClient>> clients; // of all topics, or on their way into one
    std::unordered_map<std::uint32_t, FollowerPtr> followers;
    std::map<std::string, std::vector<FollowerPtr>> by_path;
    std::vector<FollowerPtr> unwatched;
    std::unordered_map<std::uint32_t, FollowerPtr> dirty;
    std::vector<JoinPtr> joins;
    std::shared_ptr<StreamCounts> counted = std::make_shared<StreamCounts>();
    std::shared_ptr<void> reading;
    std::uint64_t turn = 1, epoch = 0, refreshes = 0, idle_since = 0, looked_ms = 0;
    Instant turned_at{};
    std::int64_t refreshed_ms = 0; // unix
    bool armed = false, beat_due = false, is_awake = false;
    uv::Timer turn_timer, beat_timer, look_timer;
};

LogHub::LogHub(Ports ports, Options options)
    : impl_(std::make_shared<Impl>(std::move(ports), options)) {}
LogHub::~LogHub() { end_all(); }

Result<std::shared_ptr<StreamClient>> LogHub::follow(FollowQuestion question) {
    return impl_->follow(std::move(question));
}

void LogHub::beat() { impl_->beat(); }

void LogHub::end_all() {
    impl_->for_clients([](StreamClient& client) { client.end(); });
}

const StreamCounts& LogHub::counts() const { return *impl_->counted; }

} // namespace keepwell::feeds
