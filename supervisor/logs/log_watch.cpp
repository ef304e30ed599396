#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_reader.h"

#include <chrono>
#include <exception>
#include <regex>

namespace keepwell {
namespace {

constexpr std::size_t kLookedAt = 1024; // the time grows with its square
constexpr std::chrono::milliseconds kAtOnce{10};

// libstdc++ backtracks by recursion: exponential time, and a deep stack on long lines. Its other
// executor does neither, but knows no back-references.
std::regex compile_pattern(const std::string& pattern) {
    constexpr auto kFlags = std::regex::ECMAScript | std::regex::optimize;
    try {
        return std::regex(pattern, kFlags | std::regex_constants::__polynomial);
    } catch (const std::regex_error&) {
        return std::regex(pattern, kFlags);
    }
}

} // namespace

struct LineMatcher::Impl {
    std::regex regex;
    LineSplitter splitter{kLookedAt, {}};
    bool matched = false;
};

LineMatcher::LineMatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LineMatcher::~LineMatcher() = default;
LineMatcher::LineMatcher(LineMatcher&&) noexcept = default;
LineMatcher& LineMatcher::operator=(LineMatcher&&) noexcept = default;

Result<LineMatcher> LineMatcher::compile(const std::string& pattern) {
    try {
        auto impl = std::make_unique<Impl>();
        impl->regex = compile_pattern(pattern);
        return LineMatcher(std::move(impl));
    } catch (const std::exception& e) {
        return Error{"cannot understand the pattern \"" + pattern + "\": " + e.what() +
                         " (write an ECMAScript regular expression)",
                     0};
    }
}

bool LineMatcher::feed(std::string_view bytes) {
    impl_->splitter.feed(bytes, [this](const std::string& line) {
        if (impl_->matched) return;
        try {
            impl_->matched = std::regex_search(line, impl_->regex);
        } catch (const std::regex_error&) { // too complex for this line: no match
            impl_->matched = false;
        }
    });
    return impl_->matched;
}

bool LineMatcher::matched() const { return impl_->matched; }

LogWatch::LogWatch(std::string dir, std::string key, LogPosition from, LineMatcher matcher)
    : tail_(std::move(dir), std::move(key), from), matcher_(std::move(matcher)) {}

Result<bool> LogWatch::poll() {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + kAtOnce;
    while (!matcher_.matched()) {
        if (next_ == lines_.size()) {
            auto lines = tail_.poll();
            if (!lines) return lines.error();
            lines_ = std::move(*lines);
            next_ = 0;
            if (lines_.empty()) break;
        }
        matcher_.feed(lines_[next_++]);
        matcher_.feed("\n");
        if (Clock::now() > end) break;
    }
    return matcher_.matched();
}

} // namespace keepwell
