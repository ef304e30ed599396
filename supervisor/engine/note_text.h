// Notes of step() as the words of the timeline: what was seen, decided, done. Pure text; no clock,
// no state.
#pragma once

#include "supervisor/engine/engine.h"

#include <functional>
#include <string>

namespace keepwell {

struct NoteText {
    std::string
        kind; // check stop kill exit start ready backoff cooldown healthy wait operator pause …
    std::string subject; // a check's id; else empty
    std::string text;
    std::string detail;   // foreign text, already cleaned
    bool trouble = false; // begins an incident (a single failed check alone does not)
};

// key_of gives another unit's key.
NoteText describe(const Note&, const StepInfo&,
                  const std::function<std::string(UnitIndex)>& key_of);

} // namespace keepwell
