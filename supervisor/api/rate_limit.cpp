#include "supervisor/api/rate_limit.h"

#include <algorithm>
#include <arpa/inet.h>
#include <netinet/in.h>

namespace keepwell::api {

namespace {

constexpr std::size_t kFailures = 5;
constexpr Duration kWithin = std::chrono::minutes(1);
constexpr std::size_t kMostAddresses = 4096;

std::string network_of(const std::string& address) {
    in6_addr v6{};
    if (inet_pton(AF_INET6, address.c_str(), &v6) != 1) return address;
    std::fill(v6.s6_addr + 8, v6.s6_addr + 16, std::uint8_t{0});
    char text[INET6_ADDRSTRLEN] = {};
    inet_ntop(AF_INET6, &v6, text, sizeof text);
    return text;
}

} // namespace

void RateLimit::failed(const std::string& address, Instant now) {
    if (failures_.size() >= kMostAddresses)
        std::erase_if(failures_, [&](const auto& f) { return now - f.second.back() >= kWithin; });
    if (failures_.size() >= kMostAddresses)
        failures_.erase(
            std::min_element(failures_.begin(), failures_.end(), [](const auto& a, const auto& b) {
                return a.second.back() < b.second.back();
            }));
    auto& times = failures_[network_of(address)];
    times.push_back(now);
    if (times.size() > kFailures) times.pop_front();
}

std::int64_t RateLimit::wait_s(const std::string& address, Instant now) const {
    const auto it = failures_.find(network_of(address));
    if (it == failures_.end() || it->second.size() < kFailures) return 0;
    const Duration left = it->second.front() + kWithin - now;
    if (left <= Duration::zero()) return 0;
    return std::chrono::ceil<std::chrono::seconds>(left).count();
}

} // namespace keepwell::api
