#include "supervisor/status/status_cache.h"

#include <fmt/format.h>

#include <functional>

namespace keepwell {

namespace {

constexpr Duration kNewsGap = std::chrono::seconds(1);
constexpr Duration kKeptFor = std::chrono::minutes(1);

} // namespace

std::string etag_of(std::string_view body) {
    return fmt::format("\"{:016x}\"", std::hash<std::string_view>{}(body));
}

bool StatusCache::is_old() const {
    if (!bytes_.body || changed_) return true;
    const Duration age = clock_.now() - made_at_;
    return age >= interval_ || (age >= kNewsGap && source_.has_news());
}

void StatusCache::render() {
    bytes_.body = std::make_shared<const std::string>(source_.render());
    made_at_ = clock_.now();
    changed_ = false;
    bytes_.etag = etag_of(*bytes_.body);
}

const StatusBytes& StatusCache::get() {
    asked_at_ = clock_.now();
    if (is_old()) render();
    return bytes_;
}

std::shared_ptr<const std::string> StatusCache::make() {
    render();
    if (asked_at_ != Instant::min() && clock_.now() - asked_at_ < kKeptFor) return bytes_.body;
    return std::move(bytes_.body); // and is gone here
}

} // namespace keepwell
