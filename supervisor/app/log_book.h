// LogBook: which mover carries which unit's output, with what settings. Output that comes before
// the staging pipes are there cannot happen (the keeper sends them first). Reports of the movers'
// threads arrive at `report` on the loop, under the unit's key: where stderr has a file of its own,
// bytes dropped are those of both, and an error is that of either.
#pragma once

#include "supervisor/engine/state_file.h"
#include "supervisor/keeper/keeper_client.h"
#include "supervisor/logs/log_mover.h"
#include "supervisor/logs/log_packer.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

class LogBook {
  public:
    struct Hooks {
        std::function<void(LogReport)> report;
        // The unit writes its file itself and can be told to open it anew; then: tell it.
        std::function<bool(const std::string& key)> can_reopen;
        std::function<void(const std::string& key)> reopen;
    };
    LogBook(uv::Loop&, StateFile&, std::string directory, Hooks);

    // An error: the threads cannot be started, and daemons would stand still once their pipes are
    // full.
    Status connected(std::vector<StagePipe>);
    void set(const std::string& key, const LogSpec&); // new or changed settings
    void forget(const std::string& key);
    void take(const std::string& key, Generation, int pipe_fd); // owns pipe_fd
    void take_errors(const std::string& key, Generation, int pipe_fd);
    const LogTally& tally(const std::string& key) const; // of both its outputs
    // Writes what is in the pipes of all units now, then calls done on the loop; never while a disk
    // does not write.
    void flush(std::function<void()> done);
    void close() { // what is not moved yet stays in the pipes
        file_timer_.stop();
        movers_.clear();
        packer_.reset();
    }

  private:
    struct Book {
        LogSpec spec;
        LogReport last[2]; // of stdout and of stderr
        std::shared_ptr<LogTally> tally = std::make_shared<LogTally>();
        std::chrono::steady_clock::time_point reopened{}; // when the child was told to do so
    };
    LogMover* mover_of(const std::string& name);
    void add(const std::string& key, const std::string& name, Generation, int pipe_fd);
    void on_report(LogReport);
    void look_at_files(); // those that children write themselves
    const LogSpec& spec_of(const std::string& key) const;

    StateFile& state_;
    std::string directory_;
    Hooks hooks_;
    uv::Loop& loop_;
    std::unordered_map<std::string, Book> books_;
    uv::Async async_;
    uv::Timer file_timer_;
    std::shared_ptr<void> looking_;
    std::unique_ptr<LogPacker> packer_;
    std::vector<std::unique_ptr<LogMover>>
        movers_; // after async_ and packer_: their threads post to them
};

} // namespace keepwell
