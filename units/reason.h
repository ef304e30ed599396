// Reasons as the short texts of the table's last column and of status.json: "http 503 (2/3)", "exit
// 1", "needs db".
#pragma once

#include "units/record.h"
#include "units/unit_spec.h"

#include <functional>
#include <string>

namespace keepwell {

// unit_key(i) gives the key of another unit. detail is the check's last output ("timed out",
// "connection refused"), empty when there is none. The text never ends in a period.
std::string describe(const Reason& reason, const UnitSpec& spec,
                     const std::function<std::string(UnitIndex)>& unit_key,
                     const std::string& detail);

// "500ms", "2s", "1m 30s", "3h 2m", "12d": at most two units, for tables and timelines.
std::string human_duration(Duration);

// "812B", "4K", "1.5M": powers of 1024, cut off.
std::string human_size(std::uint64_t bytes);

} // namespace keepwell
