// HistoryFile: the database of the history (state_dir/history.db). Synchronous; everything happens
// on the one thread that owns it, which may be any.
//
// It is WAL with synchronous=NORMAL: a process that is killed loses nothing that write() has
// returned from; a host that dies may lose the last moments, never the file. Each write() is one
// transaction, and one that failed left nothing behind. A Failure says what to do with the file.
// Rows: minutes and hours by (time, unit), so that a minute of all units is written to a few pages
// side by side and what is old leaves at the front.
#pragma once

#include "supervisor/history/rows.h"
#include "units/result.h"

#include <memory>
#include <string>
#include <vector>

namespace keepwell::history {

inline constexpr int kSchemaVersion = 2;
inline constexpr int kDamaged = -1; // Error::code: the file must be moved aside
inline constexpr int kFull = -2;    // no room: it works again when there is

class HistoryFile {
  public:
    // Opens or makes it, brings an older one up to this version, and looks whether it is whole (at
    // most kWholeCheck bytes of it). A damaged file becomes FILE.corrupt-N (five are kept), one of
    // a later version FILE.version-V; `notes` then says so and a new one is begun.
    static Result<std::unique_ptr<HistoryFile>> open(const std::string& path,
                                                     std::vector<std::string>& notes);
    // Where the damaged file went; for a file that turned out to be damaged while it was used.
    static Result<std::string> move_aside(const std::string& path, const std::string& suffix);
    ~HistoryFile();
    HistoryFile(const HistoryFile&) = delete;
    HistoryFile& operator=(const HistoryFile&) = delete;

    // Rows of a time and unit that are there already are added up.
    Status write(const Batch&);
    // A bounded piece of what is over the limits; to be called again and again.
    Status trim(WallTime now, const Limits&);
    Status checkpoint(); // moves the log's pages into the file; the log is small again

    Result<Story> story(const std::string& key, Range, WallTime now);
    // Oldest first: those of `since` and later; at `since` itself only those after `sequence`.
    Result<std::vector<EventRow>> events(WallTime since, std::uint64_t sequence, std::size_t limit);
    Result<WallTime> last_event(WallTime now);
    // The hour by minutes, the longer windows by hours, the one that runs included.
    Result<Uptimes> uptimes(WallTime now, bool hour_only);
    Result<Steps> steps(WallTime now, Duration step, std::size_t most);
    Result<std::uint64_t> size(); // bytes in use, without the log

  private:
    struct Impl;
    explicit HistoryFile(std::unique_ptr<Impl>);
    template <class T, class F>
    Result<T> guarded(const char* what, const F&);
    std::unique_ptr<Impl> impl_;
};

} // namespace keepwell::history
