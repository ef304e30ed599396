// Pattern: a regular expression (RE2 syntax) whose search takes time linear in the text, whatever
// the expression; no recursion, bounded memory. Works on bytes: "." matches any byte but a newline.
//
// Redactor: replaces what its patterns match in a line by "[redacted]". Objects are immutable,
// cheap to copy and may be used by several threads at once. Nothing throws but for want of memory.
#pragma once

#include "units/result.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

inline constexpr std::size_t kLongestPattern = 1000; // bytes
inline constexpr std::string_view kRedacted = "[redacted]";

class Pattern {
  public:
    // The error is what is wrong with the expression, without the expression itself.
    static Result<Pattern> compile(const std::string& expression);
    bool found_in(std::string_view text) const;
    bool matches_nothing_too() const; // the empty text

  private:
    friend class Redactor;
    struct Impl;
    explicit Pattern(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
    std::shared_ptr<const Impl> impl_;
};

class Redactor {
  public:
    Redactor() = default; // changes nothing
    static Result<Redactor> compile(const std::vector<std::string>& expressions);
    bool empty() const { return patterns_.empty(); }
    std::string apply(std::string line) const;

  private:
    std::vector<Pattern> patterns_;
};

} // namespace keepwell
