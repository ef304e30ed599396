#include "supervisor/logs/log_mover.h"

#include "supervisor/logs/mover_core.h"

#include <atomic>
#include <csignal>
#include <mutex>
#include <pthread.h>
#include <thread>
#include <vector>

namespace keepwell {

struct LogMover::Impl {
    using Order = std::function<void(MoverCore&)>;

    explicit Impl(Options options);
    ~Impl();
    void post(Order order);
    void run();
    void take_orders();

    MoverCore core;
    std::mutex mutex;
    std::vector<Order> orders;
    std::atomic<bool> ordered{false};
    std::atomic<bool> stop{false};
    std::thread thread;
};

LogMover::Impl::Impl(Options options) : core(std::move(options)) {
    // Signals belong to the loop's thread; a SIGXFSZ shall be an EFBIG.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread = std::thread([this] { run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread.native_handle(), "kw-logs");
}

LogMover::Impl::~Impl() {
    stop = true;
    core.wake();
    thread.join();
}

void LogMover::Impl::post(Order order) {
    {
        const std::lock_guard lock(mutex);
        orders.push_back(std::move(order));
    }
    ordered = true;
    core.wake();
}

void LogMover::Impl::run() {
    core.drain_predecessor();
    while (!stop) {
        if (ordered.exchange(false)) take_orders();
        if (!stop) core.wait_and_move(stop);
    }
}

void LogMover::Impl::take_orders() {
    std::vector<Order> taken;
    {
        const std::lock_guard lock(mutex);
        taken.swap(orders);
    }
    for (const auto& order : taken) {
        if (stop) return;
        order(core);
    }
}

LogMover::LogMover(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
LogMover::~LogMover() = default;

void LogMover::add(LogSource source) {
    // std::function wants copyable captures; the pipe is closed whatever becomes of the order.
    auto pipe = std::make_shared<Fd>(source.pipe_fd);
    impl_->post([source = std::move(source), pipe](MoverCore& core) {
        core.add(source, std::move(*pipe));
    });
}

void LogMover::configure(const std::string& key, const LogSpec& spec) {
    impl_->post([key, spec](MoverCore& core) { core.configure(key, spec); });
}

void LogMover::remove(const std::string& key) {
    impl_->post([key](MoverCore& core) { core.remove(key); });
}

void LogMover::flush(const std::string& key, std::function<void()> done) {
    impl_->post([key, done = std::move(done)](MoverCore& core) {
        core.move_present(key);
        if (!done) return;
        try {
            done();
        } catch (...) { // a caller's trouble must not end the capture of everybody's output
            return;
        }
    });
}

} // namespace keepwell
