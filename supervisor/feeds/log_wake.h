// LogWake: which log files were written lately, by inotify on their folders. Everything on the
// loop. A folder that cannot be watched is not: whoever follows a file there looks now and then.
#pragma once

#include "supervisor/logs/fd.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace keepwell::feeds {

class LogWake {
  public:
    LogWake(uv::Loop&, std::function<void()> rung);
    ~LogWake();
    LogWake(const LogWake&) = delete;
    LogWake& operator=(const LogWake&) = delete;

    bool watch(const std::string& file); // false: it cannot be told when it is written
    void forget_all();                   // nothing is watched any more
    // The files that may have been written since the last call; after it `rung` may be called
    // again. `everything`: some notice was lost.
    std::set<std::string> take(bool& everything);

  private:
    uv::Loop& loop_;
    std::function<void()> rung_;
    Fd inotify_;
    std::unique_ptr<uv::Poll> poll_;
    std::map<int, std::string> folders_; // by watch
};

} // namespace keepwell::feeds
