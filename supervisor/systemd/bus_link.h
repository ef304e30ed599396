// BusLink: keeps one connection to systemd's bus alive on the loop, and makes calls over it.
//
// Connects in the pool, again after each loss (250 ms, doubled up to 5 s). Calls are asynchronous,
// at most 64 are under way, the rest waits in line; each has a deadline, and one that passes it
// means that the manager hangs: the connection is lost. What a lost connection had under way is
// dropped without a word but on_lost().
//
// Listener and replies run inside callbacks of the bus library, where nothing may be destroyed and
// where foreign code has no place: what those cause goes through defer(), which runs it in order on
// the loop and outside of the library. Exceptions stop at each of these edges.
//
// Made by make_shared, then start(); close() ends it and may be called from deferred work.
#pragma once

#include "supervisor/systemd/session.h"
#include "supervisor/uv/loop.h"
#include "units/ports/offload.h"
#include "units/ports/timers.h"

#include <deque>
#include <map>

namespace keepwell::systemd {

struct CallError {
    std::string name, text;
};

class BusLink : public std::enable_shared_from_this<BusLink> {
  public:
    class Listener {
      public:
        virtual ~Listener() = default;
        virtual void link_up() = 0; // deferred
        virtual void
        link_lost(const std::string& why) = 0;         // deferred; also for each failed attempt
        virtual void link_signal(sdbus::Message&) = 0; // of the manager or of the bus daemon
    };
    using Fill = std::function<void(sdbus::MethodCall&)>;
    // One of the two is null.
    using Reply = std::function<void(sdbus::MethodReply*, const CallError*)>;
    struct Call {
        std::string path, interface, member;
        Fill fill;
        Reply reply;
        bool first = false; // before those that wait: orders overtake reading
    };

    BusLink(uv::Loop&, Offload&, Timers&, const Clock&, std::string bus, Duration call_deadline);
    ~BusLink();
    BusLink(const BusLink&) = delete;
    BusLink& operator=(const BusLink&) = delete;
    void start(Listener&);
    void close() noexcept;

    bool connected() const noexcept { return session_ != nullptr; }
    void call(Call);
    void lose(const std::string& why); // takes effect deferred
    void defer(std::function<void()>);
    void drain();                     // takes what has arrived already; not from inside the library
    void set_call_deadline(Duration); // also of the calls under way, from now on
    const std::string& owner() const noexcept { return session_->owner(); }

  private:
    struct Attempt;
    struct UnderWay {
        std::string what;
        Reply reply;
        std::unique_ptr<sdbus::IProxy> proxy;
        Instant sent;
        TimerId timer = 0;
    };

    void attempt();
    void attempted(Attempt&);
    void adopt(std::unique_ptr<Session>);
    void drop();
    void before_wait();
    void turn();
    void flush();
    void send_waiting();
    void send(Call);
    void replied(std::uint64_t id, sdbus::MethodReply*, const sdbus::Error*);
    void watch_deadline(std::uint64_t id, Duration);

    uv::Loop& loop_;
    Offload& offload_;
    Timers& timers_;
    const Clock& clock_;
    const std::string bus_;
    Duration call_deadline_;
    Listener* listener_ = nullptr; // null: not started, or closed

    std::shared_ptr<Attempt> attempt_;
    OffloadId work_ = 0;
    TimerId retry_ = 0;
    Duration delay_;
    Instant up_since_{};

    std::unique_ptr<Session> session_;
    std::deque<Call> waiting_;
    std::map<std::uint64_t, UnderWay> under_way_;       // dies before the session
    std::vector<std::unique_ptr<sdbus::IProxy>> spent_; // not to die inside their own callback
    std::uint64_t next_call_ = 1;
    std::deque<std::function<void()>> deferred_;
    bool flushing_ = false;
    std::unique_ptr<uv::Poll> poll_;
    std::unique_ptr<uv::Prepare> prepare_;
    std::unique_ptr<uv::Timer> wake_;
};

} // namespace keepwell::systemd
