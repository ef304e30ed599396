// Looks at the bytes in a pipe without taking them out: tee() into a pipe of its own, then read.
//
// Holds no byte between calls, so a kill at any instant loses nothing. Belongs to one thread.
#pragma once

#include "supervisor/logs/fd.h"

#include <cstddef>
#include <string_view>
#include <vector>

namespace keepwell {

inline constexpr std::size_t kTurnBytes = 256U << 10;

class LineFinder {
  public:
    LineFinder();
    // The first bytes in `pipe`, at most `limit` and possibly fewer than are there; empty when none
    // can be had. Valid until the next call.
    std::string_view peek(int pipe, std::size_t limit);

  private:
    Fd read_, write_;
    std::vector<char> buffer_;
};

} // namespace keepwell
