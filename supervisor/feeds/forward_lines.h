// ForwardLines: one source followed from a place on, each line once and in order.
//
// Blocks as disks do: for a thread of the pool, one call at a time. One poll() gives at most about
// 1 MiB of text. Nothing throws but for want of memory.
#pragma once

#include "supervisor/feeds/feed_source.h"
#include "units/result.h"

#include <memory>
#include <string>
#include <vector>

namespace keepwell::feeds {

struct FollowedLine {
    FeedLine line;
    FeedPosition end; // behind it
};

class ForwardLines {
  public:
    virtual ~ForwardLines() = default;
    virtual Result<std::vector<FollowedLine>> poll() = 0; // empty: no more at present
    virtual FeedPosition place() const = 0;               // behind the last line given
    virtual bool take_lost() = 0; // lines went before they were read; since the last call
};

// From behind the last complete line of the source; from its beginning when that came after
// `since_ms`.
std::unique_ptr<ForwardLines> follow(const std::string& log_dir, const FeedSource&,
                                     std::optional<std::int64_t> since_ms);

} // namespace keepwell::feeds
