#include "supervisor/history/history_store.h"

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <thread>
#include <utility>

namespace keepwell::history {

namespace {

constexpr int kNice = 10;
constexpr Duration kSoon = std::chrono::milliseconds(100);

using SteadyClock = std::chrono::steady_clock;

Error not_there(const std::string& why) { return {why, ENODATA}; }

} // namespace

struct HistoryStore::Shared {
    struct Question {
        Work work;
        std::function<void(const Status&)> done; // on the loop
    };
    std::string path;
    std::mutex mutex;
    uv::Async* loop = nullptr; // as long as the store lives
    Warn say;                  // on the loop
    std::condition_variable wake, ended;
    Limits limits;
    std::deque<Batch> batches;
    std::deque<Question> questions;
    std::size_t rows = 0;
    std::uint64_t lost_rows = 0;
    bool stop = false, over = false;

    void post(std::function<void()> f) {
        const std::lock_guard lock(mutex);
        if (loop != nullptr) loop->post(std::move(f));
    }
    void warn(const std::string& text) {
        post([say = say, text] { say(text); });
    }
    void make_room() { // the one that has just come stays
        while (rows > kMostRows && batches.size() > 1) {
            const std::size_t n = batches.front().rows();
            rows -= n;
            lost_rows += n;
            batches.pop_front();
        }
    }
};

// The thread's half.
class HistoryStore::Worker {
  public:
    explicit Worker(std::shared_ptr<Shared> shared) : s_(std::move(shared)) {}

    void run() {
        // This thread only, on Linux: whoever restarts a daemon comes first; but people wait for
        // answers.
        ::setpriority(PRIO_PROCESS, 0, kNice);
        std::unique_lock lock(s_->mutex);
        while (true) {
            const bool waits = !s_->batches.empty() && failing_;
            const auto ready = [&] {
                return s_->stop || !s_->questions.empty() || (!s_->batches.empty() && !waits);
            };
            if (waits)
                (void)s_->wake.wait_until(lock, retry_at_, ready);
            else
                s_->wake.wait(lock, ready);
            const bool last = s_->stop;
            // Everything that came before a question; what fails waits for its next turn.
            bool may = !failing_ || last || SteadyClock::now() >= retry_at_;
            while (may && !s_->batches.empty()) {
                write(lock);
                may = !failing_;
            }
            answer(lock);
            if (last && (s_->batches.empty() || failing_)) break;
        }
        lock.unlock();
        file_.reset();
        lock.lock();
        s_->over = true;
        s_->ended.notify_all();
    }

  private:
    // The state of keepwell lies on the same disk and comes first.
    Status has_room() const {
        struct statvfs disk {};
        const std::string folder = s_->path.substr(0, s_->path.rfind('/') + 1);
        if (statvfs(folder.c_str(), &disk) != 0) return Done{}; // the open says it better
        if (std::uint64_t{disk.f_bavail} * disk.f_frsize >= kLeftFree) return Done{};
        return Error{"cannot write " + s_->path + ": less than 1 MiB is free on its disk", kFull};
    }

    Status open() { // also without room: what is there can be read
        if (file_) return Done{};
        std::vector<std::string> notes;
        auto file = HistoryFile::open(s_->path, notes);
        for (const auto& note : notes) s_->warn(note);
        if (!file) return file.error();
        file_ = std::move(*file);
        return Done{};
    }

    // What was found damaged is put away; the next use begins a new one.
    void put_away(const Error& e) {
        if (e.code != kDamaged) return;
        file_.reset();
        const auto moved = HistoryFile::move_aside(s_->path, "corrupt");
        s_->warn(e.message + (moved ? "; it is now " + *moved + " and a new history begins"
                                    : "; " + moved.error().message));
    }

    Status write_one(const Batch& batch, const Limits& limits) {
        Status done = has_room();
        if (done) done = open();
        if (done) done = file_->write(batch);
        if (!done) return done;
        // Neither is the batch's fault, and both are tried again with the next one.
        if (batch.trim)
            if (const Status s = file_->trim(batch.now, limits); !s) put_away(s.error());
        if (file_)
            if (const Status s = file_->checkpoint(); !s) put_away(s.error());
        return done;
    }

    void write(std::unique_lock<std::mutex>& lock) {
        Batch batch = std::move(s_->batches.front());
        s_->batches.pop_front();
        const std::size_t rows = batch.rows();
        const Limits limits = s_->limits;
        lock.unlock();
        const Status done = write_one(batch, limits);
        if (!done) put_away(done.error());
        lock.lock();
        if (done) {
            s_->rows -= rows;
            const std::uint64_t lost = std::exchange(s_->lost_rows, 0);
            const bool again = std::exchange(failing_, false);
            lock.unlock();
            if (again) say_again(lost);
            lock.lock();
            return;
        }
        s_->batches.push_front(std::move(batch));
        s_->make_room();
        const bool damaged = done.error().code == kDamaged;
        retry_at_ = SteadyClock::now() + (damaged ? kSoon : kRetry);
        if (std::exchange(failing_, true) || damaged) return;
        lock.unlock();
        s_->warn(done.error().message + "; nothing else waits for it, and it is tried again");
        lock.lock();
    }

    void say_again(std::uint64_t lost) {
        s_->warn("the history is written again" +
                 (lost == 0 ? std::string()
                            : "; " + std::to_string(lost) + " rows of what happened are lost"));
    }

    void answer(std::unique_lock<std::mutex>& lock) {
        while (!s_->questions.empty()) {
            auto question = std::move(s_->questions.front());
            s_->questions.pop_front();
            lock.unlock();
            const Status there = open();
            Status done = there ? question.work(*file_) : Status(not_there(there.error().message));
            if (!done) put_away(done.error());
            s_->post([tell = std::move(question.done), done] { tell(done); });
            question = {}; // what it holds goes before the next wait
            lock.lock();
        }
    }

    std::shared_ptr<Shared> s_;
    std::unique_ptr<HistoryFile> file_;
    bool failing_ = false;
    SteadyClock::time_point retry_at_{};
};

HistoryStore::HistoryStore(uv::Loop& loop, std::string path, Limits limits, Warn warn)
    : to_loop_(loop), shared_(std::make_shared<Shared>()) {
    shared_->path = std::move(path);
    shared_->limits = limits;
    shared_->loop = &to_loop_;
    shared_->say = std::move(warn);
    sigset_t all, before; // signals belong to the loop's thread
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([shared = shared_] { Worker(shared).run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    ::pthread_setname_np(thread_.native_handle(), "kw-history");
}

HistoryStore::~HistoryStore() {
    std::unique_lock lock(shared_->mutex);
    shared_->stop = true;
    shared_->wake.notify_one();
    const bool over = shared_->ended.wait_for(lock, kLastWrite, [this] { return shared_->over; });
    shared_->loop = nullptr;
    lock.unlock();
    over ? thread_.join() : thread_.detach();
}

void HistoryStore::set_limits(Limits limits) {
    const std::lock_guard lock(shared_->mutex);
    shared_->limits = limits;
}

void HistoryStore::write(Batch batch) {
    if (batch.empty()) return;
    const std::lock_guard lock(shared_->mutex);
    shared_->rows += batch.rows();
    shared_->batches.push_back(std::move(batch));
    shared_->make_room();
    shared_->wake.notify_one();
}

void HistoryStore::ask(Work work, std::function<void(const Status&)> done) {
    std::unique_lock lock(shared_->mutex);
    if (shared_->questions.size() >= kMostQuestions) {
        lock.unlock();
        return done(not_there("cannot read the history: too many ask for it; try again"));
    }
    shared_->questions.push_back({std::move(work), std::move(done)});
    shared_->wake.notify_one();
}

} // namespace keepwell::history
