#include "supervisor/logs/pattern.h"

#include <re2/re2.h>

namespace keepwell {
namespace {

constexpr std::int64_t kMemory = 1 << 20; // of one compiled expression and its caches

re2::RE2::Options options() {
    re2::RE2::Options o;
    o.set_log_errors(false);
    o.set_max_mem(kMemory);
    // Bytes, not characters: broken UTF-8 in a line must not end a match (and so show a secret).
    o.set_encoding(re2::RE2::Options::EncodingLatin1);
    return o;
}

} // namespace

struct Pattern::Impl {
    explicit Impl(const std::string& expression) : regex(expression, options()) {}
    re2::RE2 regex;
};

Result<Pattern> Pattern::compile(const std::string& expression) {
    if (expression.size() > kLongestPattern) {
        return Error{"it is longer than " + std::to_string(kLongestPattern) + " bytes", 0};
    }
    auto impl = std::make_shared<const Impl>(expression);
    if (!impl->regex.ok()) return Error{impl->regex.error(), 0};
    return Pattern(std::move(impl));
}

bool Pattern::found_in(std::string_view text) const {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), impl_->regex);
}

bool Pattern::matches_nothing_too() const { return found_in({}); }

Result<Redactor> Redactor::compile(const std::vector<std::string>& expressions) {
    Redactor redactor;
    for (const std::string& expression : expressions) {
        auto pattern = Pattern::compile(expression);
        if (!pattern) return pattern.error();
        redactor.patterns_.push_back(std::move(*pattern));
    }
    return redactor;
}

std::string Redactor::apply(std::string line) const {
    const re2::StringPiece replacement(kRedacted.data(), kRedacted.size());
    for (const Pattern& pattern : patterns_) {
        re2::RE2::GlobalReplace(&line, pattern.impl_->regex, replacement);
    }
    return line;
}

} // namespace keepwell
