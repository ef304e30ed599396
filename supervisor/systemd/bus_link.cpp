#include "supervisor/systemd/bus_link.h"

#include <sdbus-c++/sdbus-c++.h>

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

namespace keepwell::systemd {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kAtOnce = 64; // calls under way
constexpr int kMessagesATurn = 64;  // then others have their turn of the loop
constexpr Duration kFirstDelay = 250ms;
constexpr Duration kLongestDelay = 5s;
constexpr Duration kStable = 10s; // a connection that lived so long starts the delays anew
constexpr std::uint64_t kNoTimeout = std::numeric_limits<std::uint64_t>::max(); // we have our own

// What only a dead connection or a missing manager answers.
bool means_lost(const std::string& name) {
    static constexpr std::array<std::string_view, 7> kNames = {
        "org.freedesktop.DBus.Error.NoReply",        "org.freedesktop.DBus.Error.Timeout",
        "org.freedesktop.DBus.Error.TimedOut",       "org.freedesktop.DBus.Error.Disconnected",
        "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoServer"};
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

template <class F>
void guarded(const F& f) noexcept {
    try {
        f();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "keepwell: internal error in a callback of the bus: %s\n", e.what());
    }
}

} // namespace

struct BusLink::Attempt {
    std::atomic<bool> cancelled = false;
    std::unique_ptr<Session> session;
    std::string error;
};

BusLink::BusLink(uv::Loop& loop, Offload& offload, Timers& timers, const Clock& clock,
                 std::string bus, Duration call_deadline)
    : loop_(loop),
      offload_(offload),
      timers_(timers),
      clock_(clock),
      bus_(std::move(bus)),
      call_deadline_(call_deadline),
      delay_(kFirstDelay) {}

BusLink::~BusLink() { close(); }

void BusLink::start(Listener& listener) {
    listener_ = &listener;
    const auto on_loop = [weak = weak_from_this()](void (BusLink::*what)()) {
        if (const auto self = weak.lock()) (self.get()->*what)();
    };
    prepare_ = std::make_unique<uv::Prepare>(loop_, [on_loop] { on_loop(&BusLink::before_wait); });
    wake_ = std::make_unique<uv::Timer>(loop_, [on_loop] { on_loop(&BusLink::turn); });
    attempt();
}

void BusLink::close() noexcept {
    if (listener_ == nullptr) return;
    listener_ = nullptr;
    drop();
    if (attempt_) attempt_->cancelled = true;
    attempt_ = nullptr;
    offload_.cancel(work_);
    timers_.cancel(retry_);
    prepare_ = nullptr;
    wake_ = nullptr;
    deferred_.clear();
}

// ---- connecting

void BusLink::attempt() {
    attempt_ = std::make_shared<Attempt>();
    work_ = offload_.run(
        Offload::Lane::Bus,
        [attempt = attempt_, bus = bus_] {
            auto session = Session::open(bus, attempt->cancelled);
            if (session)
                attempt->session = std::move(*session);
            else
                attempt->error = session.error().message;
        },
        [weak = weak_from_this(), attempt = attempt_] {
            if (const auto self = weak.lock()) self->attempted(*attempt);
        });
}

void BusLink::attempted(Attempt& attempt) {
    work_ = 0;
    attempt_ = nullptr;
    if (attempt.session == nullptr) {
        lose(attempt.error);
    } else {
        try {
            adopt(std::move(attempt.session));
        } catch (const std::exception& e) {
            lose(e.what());
        }
    }
    flush();
}

void BusLink::adopt(std::unique_ptr<Session> session) {
    session_ = std::move(session);
    session_->on_signal = [this](sdbus::Message& m) {
        guarded([&] {
            const std::string sender = m.getSender();
            if (listener_ == nullptr || (sender != owner() && sender != kBusService)) return;
            try {
                listener_->link_signal(m);
            } catch (const sdbus::Error&) { // NOLINT(bugprone-empty-catch): its body is broken
            }
        });
    };
    up_since_ = clock_.now();
    poll_ = std::make_unique<uv::Poll>(loop_, session_->connection().getEventLoopPollData().fd,
                                       [weak = weak_from_this()](int status, int) {
                                           const auto self = weak.lock();
                                           if (!self) return;
                                           // A dead descriptor is reported again and again until
                                           // somebody lets go of it.
                                           if (status < 0)
                                               self->lose("the bus closed the connection");
                                           self->turn();
                                       });
    wake_->start(0); // what came while the connection was made
    defer([this] {
        if (session_ != nullptr) listener_->link_up();
    });
}

void BusLink::lose(const std::string& why) {
    defer([this, why] {
        drop();
        if (retry_ != 0 || attempt_ != nullptr) return;
        if (up_since_ != Instant{} && clock_.now() - up_since_ >= kStable) delay_ = kFirstDelay;
        up_since_ = {};
        retry_ = timers_.arm(clock_.now() + delay_, [weak = weak_from_this()] {
            const auto self = weak.lock();
            if (!self) return;
            self->retry_ = 0;
            self->attempt();
        });
        delay_ = std::min(delay_ * 2, kLongestDelay);
        listener_->link_lost(why);
    });
}

void BusLink::drop() {
    for (const auto& [id, call] : under_way_) timers_.cancel(call.timer);
    poll_ = nullptr;
    under_way_.clear();
    waiting_.clear();
    spent_.clear();
    session_ = nullptr;
}

// ---- the loop

void BusLink::before_wait() {
    if (!deferred_.empty()) return wake_->start(0);
    if (session_ == nullptr) return;
    try {
        const auto data = session_->connection().getEventLoopPollData();
        int events = UV_DISCONNECT;
        if ((data.events & POLLIN) != 0) events |= UV_READABLE;
        if ((data.events & POLLOUT) != 0) events |= UV_WRITABLE;
        poll_->start(events);
        const auto wait = data.getRelativeTimeout();
        if (!wait) {
            wake_->stop();
            return;
        }
        // Rounded up: a timer that is early would go round again.
        wake_->start(static_cast<std::uint64_t>((wait->count() + 999) / 1000));
    } catch (const std::exception& e) {
        lose(e.what());
    }
}

void BusLink::drain() { turn(); }

void BusLink::turn() {
    const auto self = shared_from_this(); // what is told may destroy all but this
    for (int i = 0; i < kMessagesATurn && session_ != nullptr; ++i) {
        bool more = false;
        try {
            more = session_->connection().processPendingRequest();
        } catch (const sdbus::Error& e) {
            lose("the connection to the bus broke: " + e.getMessage());
        } catch (const std::exception& e) {
            lose(e.what());
        }
        spent_.clear();
        flush();
        if (!more) break;
    }
    flush();
}

void BusLink::defer(std::function<void()> work) {
    deferred_.push_back(std::move(work));
    // Whoever deferred outside of a turn is awaited by this.
    if (wake_ && !flushing_ && deferred_.size() == 1) wake_->start(0);
}

void BusLink::flush() {
    if (flushing_) return;
    const auto self = shared_from_this();
    flushing_ = true;
    while (!deferred_.empty() && listener_ != nullptr) {
        const auto work = std::move(deferred_.front());
        deferred_.pop_front();
        guarded(work);
    }
    flushing_ = false;
}

// ---- calls

void BusLink::call(Call call) {
    if (session_ == nullptr) return;
    if (call.first)
        waiting_.push_front(std::move(call));
    else
        waiting_.push_back(std::move(call));
    send_waiting();
}

void BusLink::send_waiting() {
    while (session_ != nullptr && under_way_.size() < kAtOnce && !waiting_.empty()) {
        Call call = std::move(waiting_.front());
        waiting_.pop_front();
        try {
            send(std::move(call));
        } catch (const std::exception& e) {
            lose(e.what());
            return;
        }
    }
}

void BusLink::send(Call call) {
    auto proxy = session_->proxy(call.path);
    auto message = proxy->createMethodCall(call.interface, call.member);
    if (call.fill) call.fill(message);
    const std::uint64_t id = next_call_++;
    proxy->callMethod(
        message,
        [this, id](sdbus::MethodReply& reply, const sdbus::Error* error) {
            guarded([&] { replied(id, &reply, error); });
        },
        kNoTimeout);
    UnderWay& u = under_way_[id];
    u.what = call.member;
    u.reply = std::move(call.reply);
    u.proxy = std::move(proxy);
    u.sent = clock_.now();
    watch_deadline(id, call_deadline_);
}

void BusLink::watch_deadline(std::uint64_t id, Duration wait) {
    under_way_[id].timer = timers_.arm(clock_.now() + wait, [weak = weak_from_this(), id] {
        const auto self = weak.lock();
        if (!self) return;
        self->drain(); // after a pause of ours the answer is there, only not read yet
        const auto it = self->under_way_.find(id);
        if (it == self->under_way_.end()) return;
        const Duration left = it->second.sent + self->call_deadline_ - self->clock_.now();
        if (left > Duration::zero()) return self->watch_deadline(id, left);
        self->lose("systemd does not answer (" + it->second.what + ")");
        self->flush();
    });
}

void BusLink::set_call_deadline(Duration d) {
    if (d == call_deadline_) return;
    call_deadline_ = d;
    for (auto& [id, call] : under_way_) {
        timers_.cancel(call.timer);
        call.sent = clock_.now();
        watch_deadline(id, d);
    }
}

void BusLink::replied(std::uint64_t id, sdbus::MethodReply* reply, const sdbus::Error* error) {
    auto node = under_way_.extract(id);
    if (!node) return;
    UnderWay& call = node.mapped();
    timers_.cancel(call.timer);
    spent_.push_back(std::move(call.proxy));
    if (error != nullptr && means_lost(error->getName())) {
        lose(error->getMessage());
        return;
    }
    if (error != nullptr) {
        const CallError e{error->getName(), error->getMessage()};
        call.reply(nullptr, &e);
    } else {
        try {
            call.reply(reply, nullptr);
        } catch (const sdbus::Error& e) { // it could not be read
            const CallError broken{e.getName(), e.getMessage()};
            call.reply(nullptr, &broken);
        }
    }
    send_waiting();
}

} // namespace keepwell::systemd
