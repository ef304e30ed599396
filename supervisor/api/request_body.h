// The bodies of POST requests, and the one look into an answer that a long poll needs. The only
// part of the API that knows a JSON parser.
//
// An empty body counts as {}. Unknown keys and wrong types are errors that say which key and what
// was expected: `cannot read the request body: "for" must be a duration (like "30m")`.
#pragma once

#include "supervisor/api/control.h"
#include "units/result.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

struct Body {
    std::optional<Verb> verb;
    std::vector<std::string> names;
    std::optional<int> signal;
    std::optional<Duration> pause_for;
    std::string check;
    bool dry_run = false;
    bool leave = false;
};

// `allowed`: the keys this route takes.
Result<Body> parse_body(std::string_view text, const std::vector<std::string_view>& allowed);

// {"token":"…"} of a login.
Result<std::string> parse_token_body(std::string_view text);

// Does a document like {"events":[…]} hold no events?
bool has_no_events(std::string_view events_json) noexcept;

} // namespace keepwell::api
