// Access: who a caller over TCP is, and what it may: its token or login on top of what everybody
// has there. Counts wrong tokens by address.
//
// On the loop only. A stale cookie is nobody's fault and counts as none; a wrong token counts.
#pragma once

#include "supervisor/api/http_types.h"
#include "supervisor/api/rate_limit.h"
#include "supervisor/api/sessions.h"
#include "supervisor/api/tokens.h"
#include "units/ports/clock.h"

#include <string>
#include <string_view>

namespace keepwell::api {

class Access {
  public:
    static constexpr std::string_view kCookie = "keepwell_session";
    Access(const Clock& clock, std::string tokens_file, TokenStore::Report report)
        : clock_(clock), tokens_(std::move(tokens_file), std::move(report)) {}

    void set_tokens_file(std::string path) { tokens_.set_path(std::move(path)); }
    // Fills caller, and the token's name in peer. peer.address must be there.
    void identify(Request&, Scopes anonymous);
    // May who presented that in a request still do so? Counts nothing.
    bool allows(const Request&, Scope, Scopes anonymous);

    struct Login {
        std::string session; // for the cookie; empty = refused
        std::string name;
        std::int64_t retry_after = 0;
    };
    Login login(const Request&, std::string_view secret);
    void logout(const Request&);
    void set_secure_cookie(bool secure) { secure_ = secure; }
    std::string cookie(std::string_view session) const; // the header's value; "" = forget it

  private:
    const Token* token_of(const Request&, Instant now); // nullptr: none, or none that is known

    const Clock& clock_;
    TokenStore tokens_;
    Sessions sessions_;
    RateLimit limit_;
    bool secure_ = false;
};

} // namespace keepwell::api
