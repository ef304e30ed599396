#include "watchers/log_check.h"

#include "units/reason.h"
#include "watchers/text.h"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::size_t kQuoted = 200;

Observation observed(CheckOutcome how, std::string text) {
    Observation seen;
    seen.outcome = how;
    seen.output = std::move(text);
    return seen;
}

// A line that was not there at the run before came after it, whatever the clocks say.
Instant time_of(const LogFindings& found, Instant before, Instant now, WallTime wall) {
    if (!found.good_at) return now;
    const Duration age = std::chrono::milliseconds(wall.ms - found.good_at->ms);
    return std::clamp(now - age, before, now);
}

} // namespace

Observation look_at_log(const LogCheckSpec& spec, LogMemory& memory, Instant now, WallTime wall) {
    const LogFindings found = memory.scan->look();
    if (found.good) memory.good_at = time_of(found, memory.looked_at, now, wall);
    if (!found.error.empty()) return observed(CheckOutcome::Warn, clean_text(found.error, kQuoted));
    memory.looked_at = now;
    if (found.bad_lines > 0) {
        std::string text = '"' + clean_text(found.first_bad, kQuoted) + '"';
        if (found.bad_lines > 1)
            text += " and " + std::to_string(found.bad_lines - 1) + " more like it";
        return observed(CheckOutcome::Fail, std::move(text));
    }
    const Duration quiet = now - memory.good_at;
    // What was skipped may have held it.
    if (found.skipped_after > 0) {
        if (!spec.good.empty()) memory.good_at = now;
        return observed(CheckOutcome::Warn, "more than " + human_size(found.skipped_after) +
                                                " came since the last run; the rest was skipped");
    }
    if (spec.good.empty()) return observed(CheckOutcome::Pass, "no line matches");
    const std::string ago = short_duration(quiet);
    if (quiet > spec.within)
        return observed(CheckOutcome::Fail,
                        "no line matches \"" + clean_text(spec.good, 80) + "\" for " + ago);
    return observed(CheckOutcome::Pass, "a line matched or the start was " + ago + " ago");
}

} // namespace keepwell
