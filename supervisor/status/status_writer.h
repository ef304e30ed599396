// StatusWriter: keeps status.json on the disk up to date, off the loop.
//
// changed() writes at once, but at most once a second; besides, the document is written every
// interval. There is never more than one write under way. A write that fails is told once through
// `report`, tried again with growing delay (1 s to 30 s) and its end is told too; what stands in
// the file stays whole. `render` is called on the loop just before a write, so it may use note().
// All calls and callbacks on the loop. After the destructor nothing is called; a write under way in
// the pool ends by itself.
#pragma once

#include "units/ports/clock.h"
#include "units/ports/timers.h"
#include "units/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace keepwell {

namespace uv {
class Loop;
}

class StatusWriter {
  public:
    struct Documents {
        std::string status;                 // status.json
        std::optional<std::string> history; // history.json beside it, when it is needed
    };
    struct Options {
        std::string path;
        Duration interval = std::chrono::seconds(30);
        Duration min_gap = std::chrono::seconds(1);
    };
    using Render = std::function<Documents()>;
    using Report = std::function<void(const std::string&)>; // one line for the log
    // Runs work elsewhere, then done on the loop unless the token is dropped; uv::run_in_pool.
    using Pool = std::function<std::shared_ptr<void>(std::function<void()> work,
                                                     std::function<void()> done)>;
    static Pool pool_of(uv::Loop&);

    StatusWriter(Clock&, Timers&, Pool, Options, Render, Report);
    ~StatusWriter();
    StatusWriter(const StatusWriter&) = delete;
    StatusWriter& operator=(const StatusWriter&) = delete;

    void start();   // removes leftovers and writes for the first time
    void changed(); // something in the document is new
    void set_interval(Duration);
    // Writes now and waits for it: the last document of a shutdown. Nothing is written afterwards.
    Status finish();

    // For the document's `note`: why it was or is not up to date. Empty when all is well; a past
    // failure is told for an hour.
    std::string note() const;
    WallTime last_written() const; // 0 = never
    std::uint64_t errors() const;  // failed writes so far

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
