// FolderWatch: tells when something in a folder is written, renamed or removed (inotify).
//
// A folder that is not there is an error; whoever watches asks again later. Events come merged, one
// call a path and turn of the loop; the folder itself when it is gone. One descriptor for all
// folders. Needs no polling.
#pragma once

#include "supervisor/uv/loop.h"
#include "units/result.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace keepwell::uv {

class FolderWatch {
  public:
    FolderWatch(Loop&, std::function<void(const std::string& path)> changed);
    ~FolderWatch();
    FolderWatch(const FolderWatch&) = delete;
    FolderWatch& operator=(const FolderWatch&) = delete;

    Status add(const std::string& folder); // again costs nothing
    bool watches(const std::string& folder) const;

  private:
    void read_events();

    std::function<void(const std::string&)> changed_;
    int fd_ = -1;
    std::unique_ptr<Poll> poll_;
    std::map<int, std::string> folders_; // by watch descriptor
};

} // namespace keepwell::uv
