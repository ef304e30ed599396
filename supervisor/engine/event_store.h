// EventStore: the timeline's lines as JSON, one each, appended to a file off the loop, so that
// `why` and `events` reach back beyond a restart of the supervisor. Bounded: at 8 MiB the file
// becomes FILE.1. A write error loses lines of history and nothing else; it is given to on_error
// once until a write works again. Lines wait a moment for each other, so that a write does not take
// the processor from the start that it tells about.
#pragma once

#include "supervisor/engine/timeline.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keepwell {

class EventStore {
  public:
    EventStore(uv::Loop&, std::string path, std::function<void(std::string)> on_error);
    ~EventStore(); // writes what is left
    EventStore(const EventStore&) = delete;
    EventStore& operator=(const EventStore&) = delete;

    void append(const std::string& line);
    // The newest lines of FILE.1 and FILE, oldest first; what is damaged is left out.
    static std::vector<TimelineLine> load(const std::string& path, std::size_t limit);

  private:
    void flush();
    uv::Loop& loop_;
    std::string path_;
    std::function<void(std::string)> on_error_;
    std::string pending_;
    bool failing_ = false;
    std::shared_ptr<void> work_; // set while a write is under way
    uv::Timer soon_;
    bool waiting_ = false; // for soon_
};

} // namespace keepwell
