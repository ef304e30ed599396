// The work of LogMover without its thread: epoll over the sources, one bounded turn after the
// other.
//
// All calls come from one thread, except wake() (any thread). Between two calls the staging pipe is
// empty and the owner word cleared. No call waits but wait_and_move().
#pragma once

#include "supervisor/logs/fd.h"
#include "supervisor/logs/line_finder.h"
#include "supervisor/logs/log_file.h"
#include "supervisor/logs/log_mover.h"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace keepwell {

class MoverCore {
  public:
    explicit MoverCore(LogMover::Options options); // owns the staging pipe's ends from now on

    void drain_predecessor();
    // Waits for bytes, wake() or a retry that is due; then at most 16 turns, fewer once `stop`.
    void wait_and_move(const std::atomic<bool>& stop);
    void wake() const;

    void add(const LogSource& source, Fd pipe);
    void configure(const std::string& key, const LogSpec& spec);
    void remove(const std::string& key);
    // At most what the pipes hold at this moment, so that a flood cannot keep it here.
    void move_present(const std::string& key);

  private:
    struct Entry { // of one key
        Entry(const std::string& directory, const std::string& key, LineFinder& finder)
            : file(directory, key, finder) {}
        LogFile file;
        LogOnError on_error = LogOnError::Drop;
        int sources = 0;
        std::uint64_t dropped = 0;
        std::shared_ptr<LogTally> tally;
        std::string reported_error;
        std::uint64_t reported_dropped = 0;
        std::int64_t reported_at = 0;
    };
    using Entries = std::map<std::string, Entry>;
    struct Source {
        Entries::iterator entry;
        Generation generation = 0;
        Fd pipe;
        bool paused = true; // not in the epoll set
    };
    using Sources = std::unordered_map<std::uint64_t, Source>;
    enum class Moved { Something, Nothing, Eof, Held };

    Entries::iterator entry_of(const std::string& key);
    void refuse(const LogSource& source, const std::string& why);
    void pause(Source& source);
    bool resume(std::uint64_t id, Source& source);
    Sources::iterator close(Sources::iterator source);
    void release(Entries::iterator entry);

    void turn(Sources::iterator source);
    Moved move_some(Source& source);
    Moved move_staged(Source& source);
    Moved move_directly(Source& source);
    static void count(Entry&, std::size_t written, std::size_t dropped);
    std::size_t discard(int pipe, std::size_t bytes);
    void set_owner(const std::string& key);

    int wait_time() const;
    void look_after_trouble();
    void tell_changes(Entries::iterator entry, std::int64_t now);
    void tell(LogReport report);

    LogMover::Options options_;
    Fd stage_read_, stage_write_, epoll_, wake_, null_;
    LineFinder finder_;
    Entries entries_;
    Sources sources_;
    std::uint64_t last_id_ = 0;
    int large_pipes_ = 0;
    bool trouble_ = false; // some file may need a retry
};

} // namespace keepwell
