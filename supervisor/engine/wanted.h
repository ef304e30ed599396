// WantedStore: which units an operator started or stopped, on disk in state_dir, so that a stop
// survives a reboot.
//
// Only operators write it; losing a process, a config or the whole fleet never does. One "KEY
// running|stopped" line each; written whole (temporary file, fsync, rename, fsync of the folder)
// off the loop; the last write wins.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/types.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace keepwell {

class WantedStore {
  public:
    WantedStore(uv::Loop&, std::string path, std::function<void(std::string)> on_error);
    ~WantedStore(); // finishes the last write
    WantedStore(const WantedStore&) = delete;
    WantedStore& operator=(const WantedStore&) = delete;

    std::optional<Desired> get(const std::string& key) const;
    void set(const std::string& key, Desired);

  private:
    void flush();
    uv::Loop& loop_;
    std::string path_;
    std::function<void(std::string)> on_error_;
    std::map<std::string, Desired> wanted_;
    bool dirty_ = false;
    std::shared_ptr<void> work_;
};

} // namespace keepwell
