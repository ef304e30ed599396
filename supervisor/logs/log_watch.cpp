#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/pattern.h"

#include <chrono>

namespace keepwell {
namespace {

constexpr std::chrono::milliseconds kAtOnce{10};

} // namespace

struct LineMatcher::Impl {
    explicit Impl(Pattern p) : pattern(std::move(p)) {}
    Pattern pattern;
    LineSplitter splitter{kMaxLogLine, {}};
    bool matched = false;
};

LineMatcher::LineMatcher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LineMatcher::~LineMatcher() = default;
LineMatcher::LineMatcher(LineMatcher&&) noexcept = default;
LineMatcher& LineMatcher::operator=(LineMatcher&&) noexcept = default;

Result<LineMatcher> LineMatcher::compile(const std::string& pattern) {
    auto compiled = Pattern::compile(pattern);
    if (!compiled) {
        return Error{"cannot understand the pattern \"" + pattern +
                         "\": " + compiled.error().message + " (write a regular expression of RE2)",
                     0};
    }
    return LineMatcher(std::make_unique<Impl>(std::move(*compiled)));
}

bool LineMatcher::feed(std::string_view bytes) {
    impl_->splitter.feed(bytes, [this](const std::string& line) {
        impl_->matched = impl_->matched || impl_->pattern.found_in(line);
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
