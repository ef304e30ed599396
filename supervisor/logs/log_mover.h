// LogMover: carries the output of children from their pipes into log files, off the loop, without a
// byte ever being in memory that a kill -9 could lose (architecture §6: staged splice).
//
// One mover has one thread, one epoll set and one staging pipe (both ends are kept by the keeper as
// well, so what is in it survives this process). `owner` points into shared memory that survives
// too: before the first splice into an empty staging pipe the mover writes there whose bytes they
// are; at construction it first drains what a predecessor left to that owner's file. Calls are made
// on the loop and only post to the thread; reports come by `report` on the mover's thread: hand
// them over to the loop yourself. A report comes when the error of a key begins, changes or ends,
// at most once a second while bytes are dropped, and at every eof. The descriptors are never
// switched to O_NONBLOCK (the keeper shares them). With on_error = block the bytes go from the pipe
// to the file directly, not over the staging pipe, since it must never be full for one unit's sake.
#pragma once

#include "units/unit_spec.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace keepwell {

struct StageOwner { // in shared memory; key is NUL-terminated, empty = the staging pipe is empty
    char key[80];
};

struct LogReport {
    std::string key;
    std::uint64_t dropped_bytes = 0; // in total since the source was added
    std::string error; // "cannot write /x/web.log: No space left on device"; empty = recovered
    bool eof = false;  // the last writer is gone and everything is written
    Generation generation = 0; // with eof: whose pipe it was
};

// What the mover counts of a unit while others read it.
struct LogTally {
    std::atomic<std::uint64_t> written = 0, dropped = 0; // bytes
};

struct LogSource {
    std::string key; // names the file: dir/KEY.log
    Generation generation = 0;
    int pipe_fd = -1; // read end; the mover owns it from now on
    LogSpec spec;
    std::shared_ptr<LogTally> tally = {}; // may be none
};

class LogMover {
  public:
    struct Options {
        std::string directory;
        int stage_read = -1, stage_write = -1; // owned by the mover from now on
        StageOwner* owner = nullptr;
        std::function<void(LogReport)> report;
        std::function<void(const std::string& key)> rotated; // on the mover's thread; may be none
    };
    explicit LogMover(Options);
    ~LogMover(); // stops at a line of code, not of text: finishes the turn, leaves the rest in the
                 // pipes, joins
    LogMover(const LogMover&) = delete;
    LogMover& operator=(const LogMover&) = delete;

    void add(LogSource); // several instances of one key may overlap (left-overs)
    void configure(const std::string& key, const LogSpec&); // after a reload
    void remove(const std::string& key);                    // drains what is there, then closes
    // Moves what is in the pipes of `key` now, then calls done on the mover's thread (ready =
    // log:REGEX, tests). Not called when the mover is destroyed first.
    void flush(const std::string& key, std::function<void()> done);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
