#include "supervisor/feeds/log_hub.h"

#include "supervisor/feeds/catch_up.h"
#include "supervisor/feeds/event_builder.h"
#include "supervisor/feeds/follower.h"
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

constexpr std::size_t kMostPlaces = 250;  // in an id
constexpr std::int64_t kQuietMs = 60'000; // a source that is quiet so long is known by the time
constexpr std::int64_t kTimeSlackMs = 30'000;
constexpr std::uint64_t kRefreshMs = 5000;       // units come and go
constexpr std::uint64_t kLookAllEvery = 6;       // refreshes
constexpr std::size_t kCatchUpBytes = 16U << 20; // of events, until they are sent

using FollowerPtr = std::shared_ptr<Follower>;

// Clients that ask for the same.
struct Topic {
    std::string type;
    std::string name; // with its filter
    LineFilter filter;
    std::shared_ptr<const LogPlaces> places;
    std::vector<FollowerPtr> followers; // one for each of the places' sources
    std::vector<std::weak_ptr<StreamClient>> clients;
};
using TopicPtr = std::shared_ptr<Topic>;

struct Join { // a client on its way into a topic
    std::weak_ptr<StreamClient> client;
    TopicPtr topic;
    std::size_t backlog = 0;
    std::optional<FeedCursor> from; // where it had been
    bool same_boot = false;
    // What the pool finds:
    FeedCursor to;
    LogPage page;
    CatchUp missed;
};

// One turn of the pool. Nobody else touches its followers meanwhile.
struct Turn {
    std::string log_dir;
    std::uint64_t epoch = 0;
    Redactor redactor;
    std::int64_t now_ms = 0;
    std::vector<FollowerPtr> followers;
    std::vector<std::shared_ptr<Join>> joins;

    void run() {
        for (const auto& follower : followers) read(*follower);
        for (const auto& join : joins) prepare(*join);
    }
    void read(Follower& f) const {
        if (!f.lines) f.open(log_dir, epoch, now_ms);
        f.read(redactor, now_ms);
    }
    void prepare(Join& join) const {
        for (const auto& f : join.topic->followers) join.to.places[f->id] = f->at;
        join.to.time_ms = now_ms;
        if (join.from) {
            join.missed = catch_up(*join.topic->places, *join.from, join.to, join.same_boot);
            return;
        }
        LogQuestion question;
        question.lines = join.backlog;
        question.filter = join.topic->filter;
        question.before = join.to;
        question.now_ms = now_ms;
        if (join.backlog == 0) return;
        if (auto page = read_page(*join.topic->places, question)) join.page = std::move(*page);
    }
};

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

    TopicPtr topic_of(FollowQuestion& question, LogPlaces places) {
        const std::string name = question.type + '\0' + question.filter_text;
        for (const auto& topic : topics)
            if (topic->name == name) return topic;
        auto topic = std::make_shared<Topic>();
        topic->type = question.type;
        topic->name = name;
        topic->filter = std::move(question.filter);
        set_places(*topic, std::move(places));
        topics.push_back(topic);
        return topic;
    }

    void set_places(Topic& topic, LogPlaces places) {
        log_dir = places.log_dir;
        if (places.redact != redact || !redactor) {
            redact = places.redact;
            auto compiled = Redactor::compile(redact);
            if (compiled) redactor = std::move(*compiled);
        }
        topic.followers.clear();
        const bool again = topic.places != nullptr;
        for (const FeedSource& source : places.sources)
            topic.followers.push_back(follower_of(source, again));
        topic.places = std::make_shared<const LogPlaces>(std::move(places));
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
        join->topic = topic_of(question, std::move(*places));
        join->to.asked = asked;
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
        auto job = std::make_shared<Turn>();
        job->log_dir = log_dir;
        job->epoch = epoch;
        if (redactor) job->redactor = *redactor;
        job->now_ms = ports.clock.wall().ms;
        job->joins = std::exchange(joins, {});
        for (auto& [id, follower] : std::exchange(dirty, {})) job->followers.push_back(follower);
        mark_wanted(*job);
        reading = uv::run_in_pool(
            ports.loop, [job] { job->run(); },
            [weak = weak_from_this(), job] {
                if (const auto self = weak.lock()) self->have_read(*job);
            });
    }

    void mark_wanted(const Turn& job) {
        for (const auto& follower : job.followers) {
            follower->wanted = false;
            for (const auto& topic : topics)
                follower->wanted =
                    follower->wanted ||
                    (!topic->clients.empty() &&
                     std::ranges::find(topic->followers, follower) != topic->followers.end());
        }
    }

    void drop_topics() {
        std::erase_if(topics, [this](const TopicPtr& topic) {
            const bool joining = std::ranges::any_of(
                joins, [&topic](const auto& join) { return join->topic == topic; });
            return topic->clients.empty() && !joining;
        });
    }

    void have_read(Turn& job) {
        reading.reset();
        for (const auto& topic : topics) tell(*topic, job);
        for (const auto& follower : job.followers) {
            if (follower->more) dirty[follower->id] = follower;
            std::vector<ReadLine>().swap(follower->fresh);
            follower->before = follower->at;
        }
        for (const auto& join : job.joins) enter(*join);
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

    // The places of the topic's sources, as far as its time does not say enough.
    FeedCursor places_of(const Topic& topic, bool before) const {
        FeedCursor cursor;
        cursor.asked = hash_of(topic.type);
        const std::int64_t now = ports.clock.wall().ms;
        cursor.time_ms = now - kTimeSlackMs;
        const bool few = topic.followers.size() <= 16;
        for (const auto& f : topic.followers) {
            const bool indexed =
                f->source.kind == FeedSource::Kind::File && !is_daemons_own(f->source.name);
            const bool quiet = indexed && f->read_ms < now - kQuietMs;
            if ((few || !quiet) && f->lines && cursor.places.size() < kMostPlaces)
                cursor.places[f->id] = before ? f->before : f->at;
        }
        return cursor;
    }

    void tell(const Topic& topic, const Turn& job) const {
        if (topic.clients.empty()) return;
        EventBuilder builder(ports.boot, places_of(topic, true), ports.clock.wall());
        for (const auto& follower : job.followers) {
            if (std::ranges::find(topic.followers, follower) == topic.followers.end()) continue;
            if (follower->lost || follower->skipped > 0)
                builder.gap(follower->lost ? std::nullopt : std::optional(follower->skipped),
                            follower->lost ? "rotated" : "slow", {follower->source.unit});
            for (const ReadLine& line : follower->fresh) {
                if (!topic.filter.wants(line.level, line.shown)) continue;
                builder.add(follower->source.unit, line.json);
                builder.move_to(follower->id, line.end);
            }
            if (!follower->fresh.empty()) builder.move_to(follower->id, follower->at);
        }
        send(topic, builder.take());
    }

    static void send(const Topic& topic, const std::vector<EventPtr>& events) {
        for (const auto& weak : topic.clients)
            if (const auto client = weak.lock())
                for (const auto& event : events) client->push(event);
    }

    // What the client missed or what is there already, and from then on it hears what the others
    // do.
    void enter(Join& join) {
        const auto client = join.client.lock();
        if (!client) return;
        Topic& topic = *join.topic;
        const WallTime now = ports.clock.wall();
        EventBuilder builder(ports.boot, join.from ? *join.from : places_of(topic, false), now);
        if (join.from) {
            if (join.missed.gap) builder.gap(join.missed.lost, "rotated", join.missed.units);
            add_missed(topic, join, builder);
        } else {
            for (const PageLine& line : join.page.lines) {
                const FeedSource& source = topic.places->sources[line.source];
                std::string json;
                append_line_json(json, source, line.time_ms, line.level, line.text);
                builder.add(source.unit, json);
            }
        }
        auto events = builder.take();
        EventBuilder last(ports.boot, places_of(topic, false), now);
        last.heartbeat(true);
        client->allow(kCatchUpBytes);
        for (auto& event : events) client->push(std::move(event));
        client->push(last.take().front());                      // an id to come back with
        client->allow(client->queued() + options.client_bytes); // the rest as for everybody
        topic.clients.push_back(client);
    }

    void add_missed(const Topic& topic, Join& join, EventBuilder& builder) const {
        for (CaughtLine& caught : join.missed.lines) {
            const FeedSource& source = topic.places->sources[caught.source];
            const std::uint32_t id = source_id(source);
            std::string text = std::move(caught.line.text);
            if (redactor) text = redactor->apply(std::move(text));
            text = shown_text(text);
            if (topic.filter.wants(caught.line.level, text)) {
                std::string json;
                append_line_json(json, source, caught.line.time_ms, caught.line.level, text);
                builder.add(source.unit, json);
            }
            builder.move_to(id, std::move(caught.end));
        }
    }

    // -- now and then

    void beat() {
        beat_due = reading != nullptr; // the places are being moved
        if (beat_due) return;
        for (const auto& topic : topics) {
            EventBuilder builder(ports.boot, places_of(*topic, false), ports.clock.wall());
            builder.heartbeat();
            send(*topic, builder.take());
        }
        for_clients([](StreamClient& client) { client.wake(); });
    }

    void look() {
        for (const auto& follower : unwatched) dirty[follower->id] = follower;
        looked_ms += options.look_ms;
        if (looked_ms >= kRefreshMs) {
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
            if (places) set_places(*topic, std::move(*places));
        }
        refreshed_ms = ports.clock.wall().ms;
        if (++refreshes % kLookAllEvery == 0) dirty = {followers.begin(), followers.end()};
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
    std::vector<TopicPtr> topics;
    std::vector<std::weak_ptr<StreamClient>> clients; // of all topics, or on their way into one
    std::unordered_map<std::uint32_t, FollowerPtr> followers;
    std::map<std::string, std::vector<FollowerPtr>> by_path;
    std::vector<FollowerPtr> unwatched;
    std::unordered_map<std::uint32_t, FollowerPtr> dirty;
    std::vector<std::shared_ptr<Join>> joins;
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
