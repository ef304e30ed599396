// LogBook: which mover carries which unit's output, with what settings. Output that comes before
// the staging pipes are there cannot happen (the keeper sends them first). Reports of the movers'
// threads arrive at `report` on the loop.
#pragma once

#include "supervisor/engine/state_file.h"
#include "supervisor/keeper/keeper_client.h"
#include "supervisor/logs/log_mover.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

class LogBook {
  public:
    LogBook(uv::Loop&, StateFile&, std::string directory, std::function<void(LogReport)> report);

    void connected(std::vector<StagePipe>);
    void set(const std::string& key, const LogSpec&); // new or changed settings
    void forget(const std::string& key);
    void take(const std::string& key, Generation, int pipe_fd); // owns pipe_fd
    void close() { movers_.clear(); } // what is not moved yet stays in the pipes

  private:
    LogMover* mover_of(const std::string& key);

    StateFile& state_;
    std::string directory_;
    std::function<void(LogReport)> report_;
    std::unordered_map<std::string, LogSpec> specs_;
    uv::Async async_;
    std::vector<std::unique_ptr<LogMover>> movers_; // after async_: their threads post to it
};

} // namespace keepwell
