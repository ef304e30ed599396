// PoolOffload: the Offload port on libuv's thread pool, with a few threads for each lane.
//
// What finds its lane full waits in line. Cancelled work that has begun keeps its place until it
// ends. The destructor waits for nobody; work that is under way then finds no listener.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/ports/offload.h"

#include <memory>

namespace keepwell {

class PoolOffload final : public Offload {
  public:
    explicit PoolOffload(uv::Loop&);
    ~PoolOffload() override;
    PoolOffload(const PoolOffload&) = delete;
    PoolOffload& operator=(const PoolOffload&) = delete;

    OffloadId run(Lane, std::function<void()> work, std::function<void()> done) override;
    bool cancel(OffloadId) noexcept override;

    // Threads that the pool needs so that every lane and the resolver may hang and files are still
    // written; for UV_THREADPOOL_SIZE, before the first use of the pool.
    static constexpr int kThreads = 12;

  private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace keepwell
