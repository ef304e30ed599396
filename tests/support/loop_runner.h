// Runs a real loop until a condition holds, with a deadline instead of sleeps.
#pragma once

#include "supervisor/uv/loop.h"

#include <chrono>
#include <functional>

namespace keepwell::test {

// True when the condition came to hold within the time.
inline bool run_until(uv::Loop& loop, const std::function<bool()>& condition,
                      std::chrono::milliseconds limit = std::chrono::seconds(15)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    uv::Timer tick(loop, [] {});
    tick.start(5, 5);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        loop.run_once();
    }
    return true;
}

} // namespace keepwell::test
