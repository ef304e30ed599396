// The service manager above us (systemd, or who starts us like it): sd_notify messages go out
// through here, and its watchdog is kept quiet as long as the supervisor lives or is replaced.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <sys/socket.h>
#include <sys/un.h>

namespace keepwell::keeper {

namespace {

constexpr std::int64_t kRetryNs = 100'000'000;
constexpr std::int64_t kShortestTickNs = 5'000'000;
// A supervisor is killed after 36 silent ticks: after six tenths of the manager's patience.
constexpr std::int64_t kTicksOfWatchdog = 60;

bool send_to_manager(const Manager& m, const char* text) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, m.path, m.path_length);
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0'; // abstract
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + m.path_length);
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return false;
    if (sendto(socket.get(), text, std::strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
               reinterpret_cast<sockaddr*>(&address), size) >= 0)
        return true;
    return errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM; // it is gone: not told
}

// In their order; what the manager does not take now waits.
void send_pending(Keeper& k) {
    Manager& m = k.manager;
    m.retry_ns = 0;
    while (m.pending_size > 0) {
        if (!send_to_manager(m, m.pending)) {
            m.retry_ns = now_ns() + kRetryNs;
            return;
        }
        const std::size_t sent = std::strlen(m.pending) + 1;
        std::memmove(m.pending, m.pending + sent, m.pending_size - sent);
        m.pending_size -= sent;
    }
}

} // namespace

void find_manager(Keeper& k) {
    Manager& m = k.manager;
    const char* path = std::getenv("NOTIFY_SOCKET");
    const std::size_t length = path == nullptr ? 0 : std::strlen(path);
    if (length >= 2 && length < sizeof sockaddr_un{}.sun_path &&
        (path[0] == '/' || path[0] == '@')) {
        std::memcpy(m.path, path, length + 1);
        m.path_length = length;
    }
    const char* limit = std::getenv("WATCHDOG_USEC");
    const char* whose = std::getenv("WATCHDOG_PID");
    const bool ours = whose == nullptr || std::strtol(whose, nullptr, 10) == getpid();
    const long long us = limit == nullptr || !ours ? 0 : std::strtoll(limit, nullptr, 10);
    if (m.path_length > 0 && us > 0) m.watchdog_ns = std::int64_t{us} * 1000;
    manager_from_environment();
    if (m.watchdog_ns == 0) return;
    const std::int64_t tick = m.watchdog_ns / kTicksOfWatchdog;
    if (tick < k.tick_ns) k.tick_ns = tick < kShortestTickNs ? kShortestTickNs : tick;
    m.next_pet_ns = now_ns();
}

void manager_from_environment() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) unsetenv(name);
}

void manager_to_environment(const Keeper& k) {
    const Manager& m = k.manager;
    if (m.path_length == 0) return;
    setenv("NOTIFY_SOCKET", m.path, 1);
    char us[24];
    std::snprintf(us, sizeof us, "%lld", static_cast<long long>(m.watchdog_ns / 1000));
    if (m.watchdog_ns > 0) setenv("WATCHDOG_USEC", us, 1);
}

void tell_manager(Keeper& k, const char* text) {
    Manager& m = k.manager;
    const std::size_t size = std::strlen(text) + 1;
    if (m.path_length == 0 || size == 1 || m.pending_size + size > sizeof m.pending) return;
    std::memcpy(m.pending + m.pending_size, text, size);
    m.pending_size += size;
    send_pending(k);
}

// While a supervisor is started anew we answer for it; one that outlives its SIGKILL is the
// manager's to see.
void pet_manager(Keeper& k, std::int64_t now) {
    Manager& m = k.manager;
    const Supervisor& s = k.supervisor;
    if (m.retry_ns != 0 && now >= m.retry_ns) send_pending(k);
    if (m.next_pet_ns == 0 || now < m.next_pet_ns) return;
    m.next_pet_ns = now + m.watchdog_ns / 3;
    if (s.pid == 0 || s.silent_ticks <= kKillAfterTicks) tell_manager(k, "WATCHDOG=1");
}

} // namespace keepwell::keeper
