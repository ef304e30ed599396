#include "supervisor/uv/pool_offload.h"

#include <algorithm>
#include <array>
#include <deque>
#include <unordered_map>
#include <utility>

namespace keepwell {

namespace {

// Two reads of /proc at once would only slow each other down; a dead disk shall not stop the checks
// of the others; nor shall a bus daemon that hangs keep another from being reached. Readers of logs
// are many and come from outside.
constexpr std::array<std::size_t, 4> kAtOnce = {1, 3, 2, 2};

} // namespace

struct PoolOffload::Impl : std::enable_shared_from_this<PoolOffload::Impl> {
    struct Job {
        OffloadId id = 0;
        std::size_t lane = 0;
        std::function<void()> work, done;
    };
    struct Running {
        std::shared_ptr<void> token;
        std::function<void()> done; // empty once cancelled
    };

    explicit Impl(uv::Loop& l) : loop(l) {}

    void pump(std::size_t lane) {
        while (busy.at(lane) < kAtOnce.at(lane) && !waiting.at(lane).empty()) {
            Job job = std::move(waiting.at(lane).front());
            waiting.at(lane).pop_front();
            begin(std::move(job));
        }
    }
    void begin(Job job) {
        ++busy.at(job.lane);
        Running& r = running[job.id];
        r.done = std::move(job.done);
        r.token = uv::run_in_pool(loop, std::move(job.work),
                                  [weak = weak_from_this(), id = job.id, lane = job.lane] {
                                      if (const auto self = weak.lock()) self->ended(id, lane);
                                  });
    }
    void ended(OffloadId id, std::size_t lane) {
        --busy.at(lane);
        const auto node = running.extract(id);
        pump(lane);
        if (node && node.mapped().done) node.mapped().done(); // may destroy this
    }

    uv::Loop& loop;
    std::array<std::deque<Job>, kAtOnce.size()> waiting;
    std::array<std::size_t, kAtOnce.size()> busy{};
    std::unordered_map<OffloadId, Running> running;
    OffloadId next_id = 1;
};

PoolOffload::PoolOffload(uv::Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}
PoolOffload::~PoolOffload() = default;

OffloadId PoolOffload::run(Lane lane, std::function<void()> work, std::function<void()> done) {
    const auto index = static_cast<std::size_t>(lane);
    const OffloadId id = impl_->next_id++;
    impl_->waiting.at(index).push_back({id, index, std::move(work), std::move(done)});
    impl_->pump(index);
    return id;
}

bool PoolOffload::cancel(OffloadId id) noexcept {
    if (const auto it = impl_->running.find(id); it != impl_->running.end()) {
        it->second.done = nullptr;
        return true;
    }
    for (auto& line : impl_->waiting)
        std::erase_if(line, [id](const auto& j) { return j.id == id; });
    return false;
}

} // namespace keepwell
