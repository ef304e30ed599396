// LogPacker: compresses rotated log files, one at a time, on a thread of its own that only gets the
// processor and the disk when nobody else wants them.
//
// KEY.log.SEQ becomes KEY.log.SEQ.gz: written under a temporary name, synced, renamed, and only
// then the plain file is removed. Killed in the middle it leaves a temporary name, which start()
// removes, or both files, of which readers take the plain one; the next LogPacker goes on. All
// calls return at once and may come from any thread. Problems come to `report`, on the thread, each
// text once until it went well again.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace keepwell {

struct PackPolicy {
    bool compress = true;
};

class LogPacker {
  public:
    using Report = std::function<void(const std::string& error)>;
    LogPacker(std::string directory, Report report);
    ~LogPacker(); // stops within one member's time
    LogPacker(const LogPacker&) = delete;
    LogPacker& operator=(const LogPacker&) = delete;

    void start(); // after the first set() calls: looks through the directory for what is left
    void set(const std::string& key, PackPolicy);
    void forget(const std::string& key);
    void rotated(const std::string& key); // there may be something to do
    bool idle() const;                    // nothing is left to do

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell
