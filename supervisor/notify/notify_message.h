// One sd_notify datagram as a plain value. Pure: bytes in, value out; nothing in it is trusted.
//
// Fields that are not known, and those that say nothing here (ERRNO, WATCHDOG_USEC, BARRIER, …),
// are left out. The last one of a kind wins. Texts are cleaned for terminals and status.json.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// Longer datagrams are refused whole.
inline constexpr std::size_t kMaxNotifyMessage = 64U << 10;

struct NotifyMessage {
    bool ready = false;
    bool reloading = false;
    bool stopping = false;
    bool beat = false;    // WATCHDOG=1
    bool trouble = false; // WATCHDOG=trigger
    std::optional<std::string> status;
    std::optional<std::int64_t> main_pid;
    bool operator==(const NotifyMessage&) const = default;
};

// nullopt: it is no text (a NUL within it) or too long.
std::optional<NotifyMessage> parse_notify(std::string_view datagram);

} // namespace keepwell
