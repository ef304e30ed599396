// Lines of one source from a place towards its beginning, newest first: of files over their
// rotated and compressed predecessors, or of the journal.
//
// Blocks as disks do: for a thread of the pool. Reads no more than its budget, which several may
// share, and holds about one block (16 to 256 KiB) of text. Nothing throws but for want of memory.
#pragma once

#include "supervisor/feeds/feed_source.h"
#include "units/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace keepwell::feeds {

struct ReadBudget {
    std::uint64_t left = 4U << 20; // bytes
    bool take(std::uint64_t bytes) {
        const bool enough = left > 0;
        left -= bytes < left ? bytes : left;
        return enough;
    }
};

// Where a reading begins.
struct BackwardStart {
    std::optional<FeedPosition> before;   // else at the end, with a last line without its '\n'
    std::optional<std::int64_t> until_ms; // what is newer may be left out
};

class BackwardLines {
  public:
    enum class State {
        More,      // line() is the next older one
        Beginning, // there are no older ones
        Spent,     // the budget is; place() says where to go on
    };
    virtual ~BackwardLines() = default;

    virtual Result<State> next() = 0;
    virtual FeedLine& line() = 0;
    // Where to go on: after line() was used, or as if it had not been read.
    virtual FeedPosition place(bool used) const = 0;
    virtual bool gap() const = 0; // older lines than `before` were there and are gone
};

std::unique_ptr<BackwardLines> read_backward(const std::string& log_dir, const FeedSource&,
                                             BackwardStart, ReadBudget&);

// When the source may last have got a line; nullopt: not known. Cheap.
std::optional<std::int64_t> changed_ms(const std::string& log_dir, const FeedSource&);

} // namespace keepwell::feeds
