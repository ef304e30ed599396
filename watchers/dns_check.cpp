#include "watchers/dns_check.h"

#include "watchers/text.h"

#include <algorithm>

namespace keepwell {

namespace {

constexpr std::size_t kShownOfAnswer = 200;

bool same_letters(std::string_view a, std::string_view b) {
    const auto lower = [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view without_dot(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    return name;
}

bool says(const DnsCheckSpec& spec, std::string_view answer) {
    if (spec.record == DnsRecord::Txt) return answer.find(spec.expect) != std::string_view::npos;
    const std::string_view wanted = without_dot(spec.expect);
    if (same_letters(answer, wanted)) return true;
    if (spec.record != DnsRecord::Mx && spec.record != DnsRecord::Srv) return false;
    return same_letters(answer.substr(answer.rfind(' ') + 1), wanted);
}

std::string list(const std::vector<std::string>& answers) {
    std::string text;
    for (const std::string& answer : answers) {
        text += (text.empty() ? "" : ", ") + answer;
        if (text.size() > kShownOfAnswer) break;
    }
    return clean_text(text, kShownOfAnswer);
}

} // namespace

DnsRequest dns_request(const DnsCheckSpec& spec, Duration timeout) {
    return {spec.name, spec.server, spec.record, timeout};
}

Observation evaluate_dns(const CheckSpec& check, const DnsCheckSpec& spec,
                         const DnsResult& result) {
    Observation seen;
    seen.took = result.took;
    seen.outcome = CheckOutcome::Fail;
    seen.soft = result.timed_out;
    if (result.timed_out) {
        seen.output = "timed out after " + short_duration(check.timeout);
    } else if (result.answers.empty()) {
        seen.output = result.error.empty() ? "no answer" : clean_text(result.error, kShownOfAnswer);
    } else if (!spec.expect.empty() &&
               std::ranges::none_of(result.answers, [&](const auto& a) { return says(spec, a); })) {
        seen.output =
            "the answer is " + list(result.answers) + ", expected " + clean_text(spec.expect, 80);
    } else {
        seen.outcome = CheckOutcome::Pass;
        seen.output = list(result.answers);
    }
    return seen;
}

} // namespace keepwell
