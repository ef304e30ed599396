// HistoryStore: the history's file on a thread of its own. The loop hands over batches and
// questions and goes on; whatever the disk does, nothing else waits for it.
//
// What is waiting is bounded (kMostRows rows, kMostQuestions questions): of rows the oldest go, a
// question too many is answered at once with an error. A write that failed is tried again with the
// next one, at the latest after kRetry; the first failure is a warning, so is the first write that
// works again, and no other. A disk with less than kLeftFree
// counts as full. A file found damaged while it is used is moved aside and a new one
// begun. The destructor writes what is waiting, but gives a hanging disk no more than kLastWrite;
// then it leaves the thread to itself. All calls and callbacks on the loop.
#pragma once

#include "supervisor/history/history_file.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace keepwell::history {

inline constexpr std::size_t kMostRows = 10'000;
inline constexpr std::size_t kMostQuestions = 64;
inline constexpr std::uint64_t kLeftFree = 1 << 20; // bytes of its disk that it leaves to others
inline constexpr Duration kRetry = std::chrono::seconds(10);
inline constexpr Duration kLastWrite = std::chrono::seconds(10);

class HistoryStore {
  public:
    using Warn = std::function<void(const std::string&)>;
    HistoryStore(uv::Loop&, std::string path, Limits, Warn);
    ~HistoryStore();
    HistoryStore(const HistoryStore&) = delete;
    HistoryStore& operator=(const HistoryStore&) = delete;

    void set_limits(Limits);
    void write(Batch);
    // `work` runs on the thread after every batch that came before, `done` then on the loop. An
    // error when there is no file, too many ask, or work says so. Not called any more once the
    // store is destroyed.
    using Work = std::function<Status(HistoryFile&)>;
    void ask(Work work, std::function<void(const Status&)> done);

  private:
    struct Shared;
    class Worker;
    uv::Async to_loop_;
    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

} // namespace keepwell::history
