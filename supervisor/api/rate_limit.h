// RateLimit: five wrong tokens a minute from one address, then it waits. Bounded memory; pure but
// for the time that it is told. An IPv6 address stands for its /64.
#pragma once

#include "units/time.h"

#include <cstdint>
#include <deque>
#include <map>
#include <string>

namespace keepwell::api {

class RateLimit {
  public:
    void failed(const std::string& address, Instant now);
    // Whole seconds until the next try counts; 0 = now.
    std::int64_t wait_s(const std::string& address, Instant now) const;
    std::size_t size() const { return failures_.size(); }

  private:
    std::map<std::string, std::deque<Instant>> failures_; // the last five of each address
};

} // namespace keepwell::api
