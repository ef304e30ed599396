// ApiCounters: what the server counts of the requests it answers, for /metrics.
//
// Plain values, kept by the server and incremented where answers are made. handler is the pattern
// of the route ("/api/why/*"), never what was asked for, so that there are never more of them than
// routes; method is one of four words; reason a code of our own. One thread, the loop's.
#pragma once

#include "supervisor/metrics/histogram.h"
#include "units/time.h"

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace keepwell {

struct ApiCounters {
    static constexpr std::array<double, 9> kBounds = {0.0005, 0.001, 0.005, 0.025, 0.1,
                                                      0.5,    1,     5,     30}; // seconds
    struct Kind {
        std::string handler, method;
        int code = 0;
        auto operator<=>(const Kind&) const = default;
    };
    std::map<Kind, std::uint64_t> requests;
    std::map<std::string, metrics::Histogram> durations;        // by handler
    std::map<std::string, std::uint64_t, std::less<>> rejected; // by reason
    std::uint64_t sse_clients = 0;                              // streams that are open now
    std::uint64_t sse_events_dropped = 0;                       // that a slow client did not get

    // pattern: Reply::handler; empty = no route was met.
    void answered(std::string_view method, std::string_view pattern, int code, Duration took) {
        const bool known = method == "GET" || method == "HEAD" || method == "POST";
        const std::string handler = pattern.empty() ? "none" : "/" + std::string(pattern);
        ++requests[{handler, known ? std::string(method) : "other", code}];
        durations.try_emplace(handler, kBounds)
            .first->second.observe(std::chrono::duration<double>(took).count());
    }
    // Turned away without asking a route: too large, another host, no token …
    void reject(std::string_view reason) { ++rejected[std::string(reason)]; }
};

} // namespace keepwell
