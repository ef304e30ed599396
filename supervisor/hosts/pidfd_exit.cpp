#include "supervisor/hosts/pidfd_exit.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <sys/ioctl.h>
#include <sys/wait.h>

namespace keepwell {

namespace {

struct PidfdInfo { // struct pidfd_info of Linux 6.15, first version
    std::uint64_t mask, cgroup;
    std::uint32_t ids[11];
    std::int32_t exit_code;
};
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t kPidfdInfoExit = 1U << 3;

bool switched_off(const char* variable) {
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0' && *value != '0';
}

} // namespace

PidfdExit exit_of_pidfd(int pidfd) noexcept {
    PidfdExit exit;
    ExitStatus& status = exit.status;
    PidfdInfo info{};
    info.mask = kPidfdInfoExit;
    if (switched_off("KEEPWELL_NO_PIDFD_INFO") || switched_off("KEEPWELL_NO_CAPABILITIES"))
        return exit;
    if (ioctl(pidfd, kPidfdGetInfo, &info) != 0) {
        exit.later = errno == ESRCH; // just being reaped
        return exit;
    }
    exit.later = (info.mask & kPidfdInfoExit) == 0;
    if (exit.later) return exit;
    status.known = true;
    if (WIFSIGNALED(info.exit_code)) {
        status.signal = WTERMSIG(info.exit_code);
        status.core = WCOREDUMP(info.exit_code);
    } else {
        status.code = WEXITSTATUS(info.exit_code);
    }
    return exit;
}

} // namespace keepwell
