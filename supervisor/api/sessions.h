// Sessions: logins of the panel, in memory only: a random id for a token's digest, for 12 hours.
//
// Bounded: the oldest makes room. Whether the token still is one is asked at each use by whoever
// has the tokens. Pure but for the time that it is told.
#pragma once

#include "supervisor/api/tokens.h"
#include "units/time.h"

#include <list>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell::api {

class Sessions {
  public:
    static constexpr Duration kLife = std::chrono::hours(12);
    static constexpr std::size_t kMost = 256;

    std::string begin(const Digest& token, Instant now); // the id, for the cookie
    std::optional<Digest> find(std::string_view id, Instant now) const;
    void end(std::string_view id);
    std::size_t size() const { return sessions_.size(); }

  private:
    struct Session {
        Digest id, token; // the id's digest: what is compared says nothing about what is held
        Instant until;
    };
    std::list<Session> sessions_; // oldest first
};

// The value of a cookie in a Cookie header; empty when it is not there.
std::string_view cookie_value(std::string_view header, std::string_view name);

} // namespace keepwell::api
