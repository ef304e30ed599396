#include "supervisor/uv/loop.h"

#include <cstdio>
#include <ctime>
#include <exception>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace keepwell::uv {

namespace {

void check(int rc, const char* what) {
    if (rc >= 0) return;
    char text[128];
    uv_strerror_r(rc, text, sizeof text); // uv_strerror leaks for unknown codes
    throw std::runtime_error(std::string("cannot ") + what + ": " + text);
}

template <class F, class... A>
void guarded(const F& f, A... args) noexcept {
    try {
        f(args...);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "keepwell: internal error in a loop callback: %s\n", e.what());
    }
}

} // namespace

namespace detail {

// `live` goes false when the owner dies; the callback is kept until the close callback, since the
// owner may die inside it.
template <class H>
struct Box {
    H handle{};
    std::function<void(int, int)> callback;
    bool live = true;
};

template <class H>
void BoxCloser<H>::operator()(Box<H>* box) const noexcept {
    box->live = false;
    box->handle.data = box;
    uv_close(reinterpret_cast<uv_handle_t*>(&box->handle),
             [](uv_handle_t* h) { delete static_cast<Box<H>*>(h->data); });
}

template <class H>
void fire(H* handle, int a = 0, int b = 0) noexcept {
    auto* box = static_cast<Box<H>*>(handle->data);
    if (box->live) guarded(box->callback, a, b);
}

// The deleter closes, so the pointer is formed only after the handle was initialised.
template <class H, class Callback, class Init>
BoxPtr<H> make(Callback&& callback, const char* what, Init init) {
    auto box = std::make_unique<Box<H>>();
    box->callback = std::forward<Callback>(callback);
    box->handle.data = box.get();
    check(init(&box->handle), what);
    box->handle.data = box.get();
    return BoxPtr<H>(box.release());
}

template struct BoxCloser<uv_timer_t>;
template struct BoxCloser<uv_poll_t>;
template struct BoxCloser<uv_signal_t>;
template struct BoxCloser<uv_prepare_t>;
template struct BoxCloser<uv_async_t>;

} // namespace detail

Loop::Loop() { check(uv_loop_init(&loop_), "make an event loop"); }

Loop::~Loop() {
    while (uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
}

void Loop::run() { uv_run(&loop_, UV_RUN_DEFAULT); }
void Loop::run_once() { uv_run(&loop_, UV_RUN_ONCE); }

Timer::Timer(Loop& loop, std::function<void()> callback)
    : box_(detail::make<uv_timer_t>([cb = std::move(callback)](int, int) { cb(); }, "make a timer",
                                    [&](uv_timer_t* h) { return uv_timer_init(loop.raw(), h); })) {}

void Timer::start(std::uint64_t ms, std::uint64_t repeat_ms) {
    uv_update_time(box_->handle.loop);
    uv_timer_start(
        &box_->handle, [](uv_timer_t* h) { detail::fire(h); }, ms, repeat_ms);
}
void Timer::stop() noexcept { uv_timer_stop(&box_->handle); }
void Timer::unref() noexcept { uv_unref(reinterpret_cast<uv_handle_t*>(&box_->handle)); }

Poll::Poll(Loop& loop, int fd, std::function<void(int, int)> callback)
    : box_(detail::make<uv_poll_t>(std::move(callback), "watch a descriptor",
                                   [&](uv_poll_t* h) { return uv_poll_init(loop.raw(), h, fd); })) {
}

void Poll::start(int events) {
    if (events == mask_) return;
    mask_ = events;
    uv_poll_start(&box_->handle, events,
                  [](uv_poll_t* h, int status, int ev) { detail::fire(h, status, ev); });
}
void Poll::stop() noexcept {
    mask_ = 0;
    uv_poll_stop(&box_->handle);
}

Signal::Signal(Loop& loop, int signum, std::function<void()> callback)
    : box_(detail::make<uv_signal_t>(
          [cb = std::move(callback)](int, int) { cb(); }, "watch a signal",
          [&](uv_signal_t* h) { return uv_signal_init(loop.raw(), h); })) {
    uv_signal_start(
        &box_->handle, [](uv_signal_t* h, int) { detail::fire(h); }, signum);
    uv_unref(reinterpret_cast<uv_handle_t*>(&box_->handle));
}

Prepare::Prepare(Loop& loop, std::function<void()> callback)
    : box_(detail::make<uv_prepare_t>(
          [cb = std::move(callback)](int, int) { cb(); }, "hook the loop",
          [&](uv_prepare_t* h) { return uv_prepare_init(loop.raw(), h); })) {
    uv_prepare_start(&box_->handle, [](uv_prepare_t* h) { detail::fire(h); });
    uv_unref(reinterpret_cast<uv_handle_t*>(&box_->handle));
}

Async::Async(Loop& loop) : queue_(std::make_shared<Queue>()) {
    auto drain = [q = queue_](int, int) {
        std::vector<std::function<void()>> items;
        {
            const std::lock_guard lock(q->mutex);
            items.swap(q->items);
        }
        for (auto& f : items) guarded(f);
    };
    box_ = detail::make<uv_async_t>(drain, "make an async handle", [&](uv_async_t* h) {
        return uv_async_init(loop.raw(), h, [](uv_async_t* a) { detail::fire(a); });
    });
    uv_unref(reinterpret_cast<uv_handle_t*>(&box_->handle));
}

void Async::post(std::function<void()> f) {
    {
        const std::lock_guard lock(queue_->mutex);
        queue_->items.push_back(std::move(f));
    }
    uv_async_send(&box_->handle);
}

namespace {
struct PoolWork {
    uv_work_t request{};
    std::function<void()> work, done;
    std::weak_ptr<void> token;
};
} // namespace

std::shared_ptr<void> run_in_pool(Loop& loop, std::function<void()> work,
                                  std::function<void()> done) {
    auto token = std::make_shared<int>(0);
    auto job = std::make_unique<PoolWork>();
    job->work = std::move(work);
    job->done = std::move(done);
    job->token = token;
    job->request.data = job.get();
    const int rc = uv_queue_work(
        loop.raw(), &job->request,
        [](uv_work_t* r) { guarded(static_cast<PoolWork*>(r->data)->work); },
        [](uv_work_t* r, int) {
            const std::unique_ptr<PoolWork> j(static_cast<PoolWork*>(r->data));
            if (!j->token.expired()) guarded(j->done);
        });
    check(rc, "queue work");
    (void)job.release(); // the pool owns it until its second half ran
    return token;
}

Instant MonotonicClock::now() const noexcept {
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return Instant(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

WallTime MonotonicClock::wall() const noexcept {
    timespec ts{};
    clock_gettime(CLOCK_REALTIME, &ts);
    return WallTime{ts.tv_sec * 1000 + ts.tv_nsec / 1'000'000};
}

struct LoopTimers::Impl {
    using Order = std::pair<Instant, TimerId>; // ids grow, so equal deadlines fire in the order
                                               // they were armed
    Impl(Loop& loop, const Clock& c) : clock(c), timer(loop, [this] { fire_due(); }) {}

    void rearm() {
        if (queue.empty()) {
            timer.stop();
            armed = Instant::max();
            return;
        }
        const Instant at = queue.begin()->first.first;
        if (at == armed) return;
        armed = at;
        const auto wait = at - clock.now();
        // Rounded up: libuv counts whole milliseconds and a timer must never be early.
        const auto ms = wait.count() <= 0 ? 0 : (wait.count() + 999'999) / 1'000'000;
        timer.start(static_cast<std::uint64_t>(ms));
    }

    void fire_due() {
        armed = Instant::max();
        const Instant now = clock.now();
        const TimerId last =
            next_id; // what callbacks arm with a past deadline waits for the next turn
        while (!queue.empty() && queue.begin()->first.first <= now &&
               queue.begin()->first.second < last) {
            auto callback = std::move(queue.begin()->second);
            by_id.erase(queue.begin()->first.second);
            queue.erase(queue.begin());
            guarded(callback);
        }
        rearm();
    }

    const Clock& clock;
    std::map<Order, std::function<void()>> queue;
    std::unordered_map<TimerId, Instant> by_id;
    TimerId next_id = 1;
    Instant armed = Instant::max();
    Timer timer;
};

LoopTimers::LoopTimers(Loop& loop, const Clock& clock)
    : impl_(std::make_unique<Impl>(loop, clock)) {}
LoopTimers::~LoopTimers() = default;

TimerId LoopTimers::arm(Instant at, std::function<void()> callback) {
    const TimerId id = impl_->next_id++;
    impl_->queue.emplace(Impl::Order{at, id}, std::move(callback));
    impl_->by_id.emplace(id, at);
    impl_->rearm();
    return id;
}

void LoopTimers::cancel(TimerId id) noexcept {
    const auto it = impl_->by_id.find(id);
    if (it == impl_->by_id.end()) return;
    impl_->queue.erase({it->second, id});
    impl_->by_id.erase(it);
    impl_->rearm();
}

} // namespace keepwell::uv
