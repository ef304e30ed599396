#include "supervisor/notify/notify_message.h"

#include "watchers/check_scheduler.h"

#include <algorithm>
#include <charconv>

namespace keepwell {

namespace {

constexpr std::size_t kStatusLimit = 512;
constexpr std::int64_t kHighestPid = 1 << 22; // of Linux

std::optional<std::int64_t> pid_of(std::string_view text) {
    std::int64_t pid = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, pid);
    if (error != std::errc{} || stop != end || pid < 1 || pid > kHighestPid) return std::nullopt;
    return pid;
}

void take_field(std::string_view name, std::string_view value, NotifyMessage& to) {
    const bool yes = value == "1";
    if (name == "READY")
        to.ready = yes;
    else if (name == "RELOADING")
        to.reloading = yes;
    else if (name == "STOPPING")
        to.stopping = yes;
    else if (name == "STATUS")
        to.status = clean_text(value, kStatusLimit);
    else if (name == "MAINPID")
        to.main_pid = pid_of(value);
    else if (name == "WATCHDOG") {
        to.beat = yes;
        to.trouble = value == "trigger";
    }
}

} // namespace

std::optional<NotifyMessage> parse_notify(std::string_view datagram) {
    while (datagram.ends_with('\0')) datagram.remove_suffix(1);
    if (datagram.size() > kMaxNotifyMessage || datagram.find('\0') != std::string_view::npos)
        return std::nullopt;
    NotifyMessage message;
    while (!datagram.empty()) {
        const std::size_t end = std::min(datagram.find('\n'), datagram.size());
        const std::string_view line = datagram.substr(0, end);
        datagram.remove_prefix(std::min(end + 1, datagram.size()));
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        take_field(line.substr(0, equals), line.substr(equals + 1), message);
    }
    return message;
}

} // namespace keepwell
