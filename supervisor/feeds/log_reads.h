// LogReads: pages of log lines, read away from the loop in a lane of their own, so that a disk that
// hangs holds up who reads logs and nothing else. Who comes when very many wait is refused.
//
// On the loop only. After the destructor no `done` is called any more.
#pragma once

#include "supervisor/feeds/log_page.h"
#include "units/ports/offload.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace keepwell::feeds {

class LogReads {
  public:
    static constexpr std::size_t kMost = 34; // two under way, and 32 that wait
    using Done = std::function<void(Result<LogPage>)>;

    explicit LogReads(Offload& offload) : offload_(offload) {}
    ~LogReads();
    LogReads(const LogReads&) = delete;
    LogReads& operator=(const LogReads&) = delete;

    // done is called once; from inside with EAGAIN when too many wait.
    void read(std::shared_ptr<const LogPlaces>, LogQuestion, Done done);

  private:
    Offload& offload_;
    std::map<std::uint64_t, OffloadId> running_; // or waiting
    std::uint64_t last_ = 0;
};

} // namespace keepwell::feeds
