// Where in a log without a time index the lines of a time begin, by the times that its lines bear.
//
// By bisection: some twenty reads of a few KiB, however large the file. The times must grow; lines
// up to a minute out of order are still found, since what is looked for lies that much earlier.
// Lines without a time belong to the one before them. Nothing throws but for want of memory.
#pragma once

#include "supervisor/logs/log_files.h"

#include <cstdint>

namespace keepwell {

// The begin of a line at or before the first one of `since_ms` (unix); 0 where no line near the
// places looked at bears a time.
std::uint64_t begin_by_own_times(OpenLog&, std::int64_t since_ms);

} // namespace keepwell
