#include "watchers/http_check.h"

#include "watchers/health_page.h"
#include "watchers/json_pointer.h"
#include "watchers/text.h"

#include <algorithm>
#include <optional>

namespace keepwell {

namespace {

constexpr std::size_t kShown = 80;
constexpr std::size_t kJsonBody = 256U << 10; // parsing is on the loop

std::string failure_text(const CheckSpec& check, const HttpCheckSpec& http, const HttpResult& r) {
    const std::string detail = clean_text(r.error, 200);
    switch (r.failure) {
    case HttpFailure::Resolve: return "cannot resolve " + url_host(http.url);
    case HttpFailure::Refused: return "connection refused";
    case HttpFailure::Unreachable: return detail.empty() ? "host unreachable" : detail;
    case HttpFailure::Tls: return "TLS: " + (detail.empty() ? "handshake failed" : detail);
    case HttpFailure::Timeout: return "timed out after " + short_duration(check.timeout);
    case HttpFailure::None:
    case HttpFailure::Other: break;
    }
    return detail.empty() ? "the exchange failed" : detail;
}

bool status_expected(const std::vector<StatusRange>& ranges, int status) noexcept {
    return std::ranges::any_of(
        ranges, [&](const StatusRange& r) { return r.low <= status && status <= r.high; });
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string in_quotes(std::string_view text) { return '"' + clean_text(text, kShown) + '"'; }

std::optional<std::string> header_mismatch(const HttpCheckSpec& http, const HttpResult& r) {
    for (const auto& [name, wanted] : http.expect_header) {
        std::string key = name;
        std::ranges::transform(key, key.begin(), lower);
        const std::string* found = nullptr;
        bool equal = false;
        for (const auto& [n, value] : r.headers) {
            if (n != key) continue;
            found = &value;
            equal = equal || value == wanted;
        }
        if (equal) continue;
        const std::string place = "header " + clean_text(key, kShown);
        if (found == nullptr) return place + " is missing, expected " + in_quotes(wanted);
        return place + " is " + in_quotes(*found) + ", expected " + in_quotes(wanted);
    }
    return std::nullopt;
}

std::optional<std::string> body_mismatch(const HttpCheckSpec& http, const HttpResult& r) {
    if (!http.expect_body.empty() && r.body.find(http.expect_body) == std::string::npos) {
        const std::string start = "the body does not contain " + in_quotes(http.expect_body);
        return r.body.empty() ? start + ", it is empty"
                              : start + ", it begins " + in_quotes(r.body.substr(0, 4 * kShown));
    }
    if (!http.expect_json.empty()) return json_mismatch(r.body, http.expect_json);
    return std::nullopt;
}

} // namespace

HttpRequest http_request(const HttpCheckSpec& http, Duration timeout) {
    HttpRequest request;
    request.method = http.method;
    request.url = http.url;
    request.headers = http.headers;
    request.body = http.body;
    request.unix_socket = http.unix_socket;
    request.verify_tls = http.tls.verify;
    request.ca_file = http.tls.ca;
    request.follow_redirects = http.follow_redirects;
    request.timeout = timeout;
    if (!http.expect_json.empty()) request.max_body = kJsonBody; // half a document is no JSON
    return request;
}

Observation evaluate_http(const CheckSpec& check, const HttpCheckSpec& http,
                          const HttpResult& result) {
    Observation seen;
    seen.took = result.took;
    seen.outcome = CheckOutcome::Fail;
    if (result.failure != HttpFailure::None) {
        seen.soft = result.failure == HttpFailure::Timeout;
        seen.output = failure_text(check, http, result);
        return seen;
    }
    seen.code = result.status;
    seen.reported = reported_of(result.body);
    seen.output = "http " + std::to_string(result.status);
    if (!status_expected(http.expect_status, result.status)) {
        seen.soft = result.status >= 500 && result.status <= 599;
        return seen;
    }
    auto difference = header_mismatch(http, result);
    if (!difference) difference = body_mismatch(http, result);
    if (difference) {
        seen.output = std::move(*difference);
        return seen;
    }
    if (result.took > check.slow) {
        seen.outcome = CheckOutcome::Warn;
        seen.output = "slow: " + short_duration(result.took) + " > " + short_duration(check.slow);
        return seen;
    }
    seen.outcome = CheckOutcome::Pass;
    return seen;
}

} // namespace keepwell
