#include "supervisor/status/status_writer.h"

#include "supervisor/status/json_writer.h"
#include "supervisor/status/status_file.h"
#include "supervisor/uv/loop.h"
#include "units/reason.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

namespace keepwell {

using namespace status_detail;
using namespace std::chrono_literals;

namespace {

constexpr Duration kFirstRetry = 1s;
constexpr Duration kLastRetry = 30s;
constexpr std::int64_t kNoteForMs = 3'600'000;

std::string history_path(const std::string& path) {
    const auto slash = path.rfind('/');
    return (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + "history.json";
}

// Shared with the pool, so it outlives the writer while a write is under way. The mutex lets
// finish() wait for that write.
struct Job {
    std::mutex busy;
    std::string path;
    StatusWriter::Documents documents;
    Status result = Done{};
    bool abandoned = false; // finish() came first: the newer document must stay
};

Status write_documents(const std::string& path, const StatusWriter::Documents& documents) {
    Status status = replace_file(path, documents.status);
    if (!status || !documents.history) return status;
    return replace_file(history_path(path), *documents.history);
}

} // namespace

struct StatusWriter::Impl {
    Impl(Clock& c, Timers& t, Pool p, Options o, Render r, Report rep)
        : clock(c),
          timers(t),
          pool(std::move(p)),
          options(std::move(o)),
          render(std::move(r)),
          report(std::move(rep)),
          job(std::make_shared<Job>()) {
        job->path = options.path;
    }
    ~Impl() { timers.cancel(timer); }

    void schedule(Instant at) {
        if (timer != 0 && armed_for <= at) return;
        timers.cancel(timer);
        armed_for = at;
        timer = timers.arm(at, [this] {
            timer = 0;
            begin();
        });
    }

    // When the next write may begin: after the last one's start, and after a failure's delay.
    Instant earliest() const { return std::max(last_begin + options.min_gap, retry_at); }

    void request() {
        wanted = true;
        if (finished || writing || !started) return;
        const Instant now = clock.now();
        if (earliest() <= now)
            begin();
        else
            schedule(earliest());
    }

    void begin() {
        if (writing || finished) return;
        timers.cancel(timer);
        timer = 0;
        writing = true;
        wanted = false;
        last_begin = clock.now();
        job->documents = render();
        token = pool(
            [j = job] {
                const std::lock_guard lock(j->busy);
                if (!j->abandoned) j->result = write_documents(j->path, j->documents);
            },
            [this] { done(); });
    }

    void done() {
        writing = false;
        if (finished) return;
        settle(job->result);
        job->documents = {};
        if (wanted || failing) schedule(std::max(earliest(), clock.now()));
        schedule(last_begin + options.interval);
    }

    void settle(const Status& result) {
        if (result)
            succeeded();
        else
            failed(result.error());
    }

    void succeeded() {
        written_at = clock.wall();
        retry_at = Instant::min();
        retry_delay = kFirstRetry;
        if (!failing) return;
        failing = false;
        recovered_at = clock.wall();
        report(fmt::format("{} is written again, after {} without", options.path,
                           human_duration(clock.now() - failing_from)));
        wanted = true; // the note of what was missed
    }

    void failed(const Error& error) {
        ++errors;
        retry_at = clock.now() + retry_delay;
        retry_delay = std::min(retry_delay * 2, kLastRetry);
        if (failing && error.code == last_error.code) return;
        if (!failing) {
            failing_since = clock.wall();
            failing_from = clock.now();
        }
        failing = true;
        last_error = error;
        report(fmt::format("{}; {}", error.message, advice_for(error.code, options.path)));
    }

    std::string note() const {
        if (failing) return fmt::format("{} since {}", last_error.message, rfc3339(failing_since));
        if (recovered_at.ms == 0 || clock.wall().ms - recovered_at.ms > kNoteForMs) return {};
        return fmt::format("{}, from {} to {}", last_error.message, rfc3339(failing_since),
                           rfc3339(recovered_at));
    }

    Clock& clock;
    Timers& timers;
    Pool pool;
    Options options;
    Render render;
    Report report;
    std::shared_ptr<Job> job;
    std::shared_ptr<void> token;

    bool started = false, finished = false, writing = false, wanted = false;
    TimerId timer = 0;
    Instant armed_for{};
    Instant last_begin = Instant::min() + 1h; // room to subtract and add
    Instant retry_at = Instant::min();
    Duration retry_delay = kFirstRetry;

    bool failing = false;
    Error last_error;
    WallTime failing_since, recovered_at, written_at;
    Instant failing_from{};
    std::uint64_t errors = 0;
};

StatusWriter::Pool StatusWriter::pool_of(uv::Loop& loop) {
    return [&loop](std::function<void()> work, std::function<void()> done) {
        return uv::run_in_pool(loop, std::move(work), std::move(done));
    };
}

StatusWriter::StatusWriter(Clock& clock, Timers& timers, Pool pool, Options options, Render render,
                           Report report)
    : impl_(std::make_unique<Impl>(clock, timers, std::move(pool), std::move(options),
                                   std::move(render), std::move(report))) {}
StatusWriter::~StatusWriter() = default;

void StatusWriter::start() {
    remove_leftovers(impl_->options.path);
    remove_leftovers(history_path(impl_->options.path));
    impl_->started = true;
    impl_->begin();
}

void StatusWriter::changed() { impl_->request(); }

void StatusWriter::set_interval(Duration interval) {
    impl_->options.interval = interval;
    impl_->request();
}

Status StatusWriter::finish() {
    impl_->finished = true;
    impl_->timers.cancel(impl_->timer);
    impl_->timer = 0;
    Documents documents = impl_->render();
    const std::lock_guard lock(impl_->job->busy); // waits for a write under way
    impl_->job->abandoned = true;
    Status result = write_documents(impl_->options.path, documents);
    impl_->settle(result);
    return result;
}

std::string StatusWriter::note() const { return impl_->note(); }
WallTime StatusWriter::last_written() const { return impl_->written_at; }
std::uint64_t StatusWriter::errors() const { return impl_->errors; }

} // namespace keepwell
