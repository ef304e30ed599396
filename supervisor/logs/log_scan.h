// FileLogScans: the LogScan port on the streams that a unit's lines come in: the files that
// keepwell writes of its output, rotated and compressed ones included, those that its daemon writes
// itself, and whatever else a LineStream can read.
#pragma once

#include "supervisor/logs/log_reader.h"
#include "units/ports/clock.h"
#include "units/ports/log_scan.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

// New lines of one stream, each once and in order. Made on the loop, then read off it.
class LineStream {
  public:
    virtual ~LineStream() = default;
    virtual Result<std::vector<TimedLine>> poll_timed() = 0; // empty: no more at present
    virtual void skip() = 0;                                 // all that there is at present
};

class FileLogScans final : public LogScans {
  public:
    struct Place {
        std::string dir;
        std::vector<std::string> streams; // names of files, as log_names.h has them
        std::vector<std::string> redact;  // expressions; what they match is not shown
        // A stream that is no file, from a time on; none: the unit has no such.
        std::function<std::unique_ptr<LineStream>(WallTime from)> other;
    };
    // Asked at every open().
    FileLogScans(std::function<Place(const std::string& key)> place, const Clock& clock)
        : place_(std::move(place)), clock_(clock) {}
    std::shared_ptr<LogScan> open(const LogQuestion&) override;

    // Between the two, open() begins where the log of the unit ended at starting().
    void starting(const std::string& key);
    void started(const std::string& key) { starts_.erase(key); }

    // Read at most by one look() of one stream.
    static constexpr std::uint64_t kMostAtOnce = 8U << 20;

  private:
    struct Start {
        std::vector<LogPosition> ends; // of the unit's streams
        WallTime at;
    };
    Start now(const Place&) const;

    std::function<Place(const std::string& key)> place_;
    const Clock& clock_;
    std::unordered_map<std::string, Start> starts_;
};

} // namespace keepwell
