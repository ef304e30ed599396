// Loading: the files at the start, and anew for a reload: refuse a bad configuration whole, apply
// only what changed.
#pragma once

#include "supervisor/app/fleet.h"
#include "supervisor/uv/loop.h"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace keepwell {

inline constexpr const char* kSafeNote =
    "safe mode: the supervisor crashed three times soon after its start; running with the last "
    "good configuration, without earlier counters and history (keepwell reload ends it)";

// The files as they are; when they are broken (edited while keepwell was away), the last good ones
// with a note that says so. A safe supervisor does not even try them. state_dir: empty = that of
// the files.
Result<LoadResult> load_or_last_good(const LoadOptions&, const std::string& state_dir, bool safe,
                                     std::string& note);

// Writes it in the pool; what goes wrong is logged. Not begun yet when the token dies, it is
// skipped.
[[nodiscard]] std::shared_ptr<void> keep_last_good(uv::Loop&, const std::string& state_dir,
                                                   const LoadResult&);

// The answer of /api/config/reload:
// {"added":[],"removed":[],"restarted":[],"updated":[],"unchanged":[],"frozen":[], "warnings":[]}.
// Error: every message of the loader, one a line; nothing was changed. loaded: what
// load_configuration gave. dry: apply nothing.
Result<std::string> apply_reload(Fleet&, LoadResult loaded, bool dry);

// ReloadQueue: reads the files and looks users up in the pool, for a slow disk or name service must
// not hold the loop; one reload at a time, in the order they were asked for.
//
// `take` says whether the result may still be applied, and does. A second signal while one waits
// asks for nothing new and is dropped. `done` is called on the loop, never from inside ask(); not
// at all when the queue dies first.
class ReloadQueue {
  public:
    static constexpr const char* kHangUp = "SIGHUP"; // who, for a signal
    struct Reload {
        bool dry = false;
        std::string who;
        std::function<void(Result<std::string>)> done;
    };
    struct Ports {
        uv::Loop& loop;
        LoadOptions load;
        std::function<void(bool dry)> begin;
        std::function<Result<std::string>(bool dry, const std::string& who, LoadResult)> take;
        std::function<void()> answered;
    };
    explicit ReloadQueue(Ports p) : p_(std::move(p)) {}
    void ask(Reload);

  private:
    void next();
    void finish(std::optional<LoadResult>);

    Ports p_;
    std::deque<Reload> waiting_; // the first one's files are being read while work_ is there
    std::shared_ptr<void> work_;
};

} // namespace keepwell
