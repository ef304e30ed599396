#include "supervisor/logs/line_splitter.h"
#include "supervisor/logs/log_reader.h"

#include <exception>
#include <regex>

namespace keepwell {
namespace {

constexpr std::size_t kLookedAt = 4096; // std::regex recurses once for each byte

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
        impl->regex.assign(pattern, std::regex::ECMAScript | std::regex::optimize);
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
    while (!matcher_.matched()) {
        const auto lines = tail_.poll();
        if (!lines) return lines.error();
        if (lines.value().empty()) break;
        for (const std::string& line : lines.value()) {
            matcher_.feed(line);
            matcher_.feed("\n");
        }
    }
    return matcher_.matched();
}

} // namespace keepwell
