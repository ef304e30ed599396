// Port: the ActiveState of a unit of systemd, as far as a bus tells.
//
// The callback runs on the loop, never from inside the call, at most once; it may come after nobody
// waits for it any more. An empty function: there is no bus here.
#pragma once
#include "units/unit_spec.h"
#include <functional>
#include <string>
namespace keepwell {
struct SystemdAnswer {
    std::string active_state; // "active", "failed" …
    std::string unknown;      // why it is not known, for people; empty = active_state is true
};
using AskSystemd =
    std::function<void(const SystemdCheckSpec&, std::function<void(const SystemdAnswer&)>)>;
} // namespace keepwell
