// Golden traces: a script of events for one unit, each followed by what step() made of it.
//
// Lines at the margin are the script; indented lines are the expected answer. `unit` and `check`
// lines describe the unit, `+TIME` lets time pass (due timers fire and show), every other line is
// an event. run_trace() returns the whole text anew, so that a difference shows where it is.
#pragma once

#include <string>

namespace keepwell::testing {

std::string run_trace(const std::string& text);

} // namespace keepwell::testing
