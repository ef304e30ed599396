#include "supervisor/app/past.h"

#include "supervisor/history/history_json.h"

#include <algorithm>
#include <cerrno>
#include <cmath>

namespace keepwell {

using namespace history;

namespace {

constexpr Duration kStep = 30s; // of the status document's history
constexpr std::size_t kSteps = 60;
constexpr std::uint64_t kFlushMs = 2000;
constexpr std::int64_t kEarlyMs = 1000;    // of a minute's beginning by the wall clock, at most
constexpr int kCountEvery = 5;             // minutes; the short window is counted anew that often
constexpr Duration kSteady = 10min;        // before old rows go by the wall clock's word
constexpr std::size_t kMostPending = 1000; // then they are handed over at once

std::uint64_t until_ms(Duration d) { // rounded up, so that it is over then
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, to_ms(d)) + 1);
}

Limits limits_of(const HistorySpec& spec) {
    Limits limits;
    limits.minute = spec.minute;
    limits.hour = spec.hour;
    limits.max_size = spec.max_size;
    return limits;
}

void add(UpDown& to, const RollUp& r) {
    to.up_ms += r.in(Spent::Ok) + r.in(Spent::Degraded);
    to.down_ms += r.in(Spent::Down);
}

} // namespace

Past::Since& Past::Since::operator+=(const Since& other) {
    in_short.up_ms += other.in_short.up_ms;
    in_short.down_ms += other.in_short.down_ms;
    in_long.up_ms += other.in_long.up_ms;
    in_long.down_ms += other.in_long.down_ms;
    return *this;
}

Past::Past(Ports ports)
    : p_(std::move(ports)),
      tick_(p_.loop, [this] { tick(); }),
      edge_(p_.loop, [this] { minute_over(); }),
      soon_(p_.loop, [this] {
          waiting_ = false;
          flush();
      }) {}

Past::~Past() { p_.fleet.set_past(nullptr); }

void Past::start(const std::string& path, const HistorySpec& spec) {
    spec_ = spec;
    tick_.start(static_cast<std::uint64_t>(to_ms(kStep)), static_cast<std::uint64_t>(to_ms(kStep)));
    arm_edge();
    path_ = path;
    if (spec.enabled) open();
}

void Past::open() {
    if (path_.empty()) return;
    p_.fleet.set_past(this);
    store_ = std::make_unique<HistoryStore>(p_.loop, path_, limits_of(spec_), p_.warn);
    unread_before_ = p_.clock.wall();
    read_past();
    ask_uptimes(false);
}

// Until it was read once: a disk may have been full, or away.
void Past::read_past() {
    struct Before {
        Steps steps;
        WallTime last_event;
    };
    ask<Before>(
        [now = unread_before_](HistoryFile& file) -> Result<Before> {
            const auto steps = file.steps(now, kStep, kSteps);
            if (!steps) return steps.error();
            const auto last = file.last_event(now);
            if (!last) return last.error();
            return Before{*steps, *last};
        },
        [this, asked = unread_before_](const Result<Before>& before) {
            if (!before || unread_before_ != asked) return;
            unread_before_ = {};
            restore(before->steps, before->last_event);
        });
}

void Past::apply(const HistorySpec& spec) {
    if (spec == spec_) return;
    spec_ = spec;
    if (store_)
        store_->set_limits(limits_of(spec));
    else if (spec.enabled)
        open();
}

template <class T>
void Past::ask(std::function<Result<T>(HistoryFile&)> work,
               std::function<void(const Result<T>&)> done) {
    auto result = std::make_shared<std::optional<Result<T>>>();
    store_->ask(
        [work = std::move(work), result](HistoryFile& file) -> Status {
            *result = work(file);
            if (**result) return Done{};
            return (*result)->error();
        },
        [result, done = std::move(done)](const Status& s) {
            done(s ? std::move(**result) : Result<T>(s.error()));
        });
}

// The steps keep their beat over a restart, so that the one that was running is made, too.
void Past::restore(const Steps& steps, WallTime last_event) {
    for (const auto& [key, letters] : steps.letters) p_.fleet.restore_steps(key, letters);
    if (steps.last.ms != 0 && !ticked_) {
        const std::int64_t step = to_ms(kStep);
        const std::int64_t since = std::max<std::int64_t>(0, p_.clock.wall().ms - steps.last.ms);
        tick_.start(static_cast<std::uint64_t>(step - since % step),
                    static_cast<std::uint64_t>(step));
    }
    for (const TimelineLine& line : p_.fleet.timeline().lines_since(last_event)) on_line(line);
    p_.changed();
}

void Past::tick() {
    ticked_ = true;
    p_.fleet.tick();
    if (!on()) return;
    Batch batch;
    batch.now = p_.clock.wall();
    batch.step = StepRow{batch.now, p_.fleet.step_letters()};
    flush();
    store_->write(std::move(batch));
}

void Past::arm_edge() { edge_.start(until_ms(p_.fleet.recorder().edge() - p_.clock.now())); }

// The minutes that are over go into the file, behind what happened in them.
void Past::write_minutes(bool trim) {
    auto rows = p_.fleet.recorder().take();
    arm_edge();
    if (!on()) return;
    flush();
    for (const MinuteRow& row : rows) count(row);
    Batch batch;
    batch.now = p_.clock.wall();
    batch.trim = trim;
    batch.minutes = std::move(rows);
    store_->write(std::move(batch));
}

void Past::minute_over() {
    write_minutes(p_.fleet.recorder().steady_for(kSteady));
    if (!on()) return;
    if (unread_before_.ms != 0) read_past();
    if (counting_) return;
    show_uptimes();
    const bool new_hour = counted_hour_ != p_.clock.wall().ms / kHourMs;
    if (++minutes_ % kCountEvery == 0 || new_hour) ask_uptimes(!new_hour);
}

void Past::close() {
    if (!on()) return;
    Batch batch = std::exchange(pending_, {});
    batch.now = p_.clock.wall();
    batch.minutes = p_.fleet.recorder().take_all();
    store_->write(std::move(batch));
    p_.fleet.set_past(nullptr);
    store_.reset();
}

// ---- events and changes

void Past::on_line(const TimelineLine& line) {
    if (!on()) return;
    pending_.events.push_back(
        {line.sequence, line.time, line.service, line.kind, line.subject, line.text, line.detail});
    soon();
}

void Past::on_change(ChangeRow change) {
    if (!on()) return;
    pending_.changes.push_back(std::move(change));
    soon();
}

void Past::soon() {
    if (pending_.rows() >= kMostPending) return flush();
    if (waiting_) return;
    waiting_ = true;
    soon_.start(kFlushMs);
}

void Past::flush() {
    if (!store_ || pending_.empty()) return;
    pending_.now = p_.clock.wall();
    store_->write(std::exchange(pending_, {}));
}

// ---- uptime

void Past::count(const MinuteRow& row) {
    Sums& sums = sums_[row.key];
    add(sums.since.in_short, row.roll_up);
    add(sums.since.in_long, row.roll_up);
}

// What was handed over before is in the file when it is asked; what comes after is counted here.
void Past::ask_uptimes(bool hour_only) {
    counting_ = true;
    auto handed_over = std::make_shared<std::unordered_map<std::string, Since>>();
    for (auto& [key, sums] : sums_) {
        Since& one = (*handed_over)[key];
        one.in_short = std::exchange(sums.since.in_short, {});
        if (!hour_only) one.in_long = std::exchange(sums.since.in_long, {});
    }
    const WallTime now = p_.clock.wall();
    if (!hour_only) counted_hour_ = now.ms / kHourMs;
    ask<Uptimes>([now, hour_only](HistoryFile& file) { return file.uptimes(now, hour_only); },
                 [this, hour_only, handed_over](const Result<Uptimes>& all) {
                     counting_ = false;
                     if (all) return take_uptimes(*all, hour_only);
                     for (const auto& [key, since] : *handed_over) sums_[key].since += since;
                 });
}

void Past::take_uptimes(const Uptimes& all, bool hour_only) {
    const std::size_t last = hour_only ? 1 : kWindows;
    for (auto& [key, sums] : sums_)
        std::fill(sums.stored.begin(), sums.stored.begin() + static_cast<std::ptrdiff_t>(last),
                  UpDown{});
    for (const auto& [key, uptime] : all)
        if (p_.fleet.engine().find(key))
            std::copy(uptime.begin(), uptime.begin() + static_cast<std::ptrdiff_t>(last),
                      sums_[key].stored.begin());
    std::erase_if(sums_, [this](const auto& s) { return !p_.fleet.engine().find(s.first); });
    show_uptimes();
}

void Past::show_uptimes() {
    bool news = false;
    for (const auto& [key, sums] : sums_) {
        UptimeRatios ratios;
        for (std::size_t w = 0; w < kWindows; ++w) {
            const UpDown& since = w == 0 ? sums.since.in_short : sums.since.in_long;
            const auto ratio = up_ratio(sums.stored[w].up_ms + since.up_ms,
                                        sums.stored[w].down_ms + since.down_ms);
            if (ratio) ratios[w] = std::floor(*ratio * 1e4 + 1e-6) / 1e4; // 1 means: never down
        }
        news = p_.fleet.set_uptime(key, ratios) || news;
    }
    if (news) p_.changed();
}

// ---- questions

void Past::refuse(const Answer& done) const {
    done(Error{!path_.empty()
                   ? "cannot read the history: it is switched off (supervisor.history.enabled)"
                   : "cannot read the history: there is none in safe mode",
               ENODATA});
}

void Past::history(UnitIndex i, Range range, Answer done) {
    if (!on()) return refuse(done);
    // The file and the minute that runs are taken at one instant: an edge in between would leave
    // the minute out of both.
    write_minutes(false);
    const std::string key = p_.fleet.engine().key_of(i);
    const auto running = p_.fleet.recorder().running(i);
    WallTime now = p_.clock.wall();
    // A minute begins a little early when its edge is near, and has to lie in the range.
    const std::int64_t early = running ? running->minute * kMinuteMs - now.ms : 0;
    if (early > 0 && early <= kEarlyMs) now.ms += early;
    ask<Story>([key, range, now](HistoryFile& file) { return file.story(key, range, now); },
               [this, running, done = std::move(done)](const Result<Story>& found) {
                   if (!found) {
                       done(Error{found.error().message, ENODATA});
                   } else {
                       Story story = *found;
                       if (running) add_running(story, *running);
                       done(story_json(story));
                   }
                   p_.answered();
               });
}

void Past::events(WallTime since, std::uint64_t sequence, std::size_t limit, Answer done) {
    if (!on()) return refuse(done);
    flush();
    ask<std::string>(
        [since, sequence, limit,
         last = p_.fleet.timeline().last_sequence()](HistoryFile& file) -> Result<std::string> {
            auto found = file.events(since, sequence, limit + 1);
            if (!found) return found.error();
            const bool more = found->size() > limit;
            if (more) found->resize(limit);
            return events_json(*found, last, more);
        },
        [this, done = std::move(done)](const Result<std::string>& text) {
            done(text ? *text : Result<std::string>(Error{text.error().message, ENODATA}));
            p_.answered();
        });
}

} // namespace keepwell
