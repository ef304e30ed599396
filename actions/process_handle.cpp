#include "actions/process_handle.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace keepwell {

namespace {

// Field 22 of /proc/PID/stat; 0 when it is gone.
std::uint64_t start_ticks_of(std::int64_t pid) noexcept {
    char path[40], text[1024];
    std::snprintf(path, sizeof path, "/proc/%lld/stat", static_cast<long long>(pid));
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) return 0;
    const std::size_t n = std::fread(text, 1, sizeof text - 1, file);
    std::fclose(file);
    text[n] = '\0';
    const char* at = std::strrchr(text, ')'); // the name may hold anything
    for (int field = 2; at != nullptr && field < 22; ++field) {
        at = std::strchr(at, ' ');
        if (at != nullptr) ++at;
    }
    return at == nullptr ? 0 : std::strtoull(at, nullptr, 10);
}

} // namespace

ProcessHandle ProcessHandle::open(std::int64_t pid, std::uint64_t start_ticks) {
    ProcessHandle handle;
    if (pid <= 1) return handle;
    handle.fd_ = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0));
    if (handle.fd_ >= 0 && start_ticks_of(pid) != start_ticks) close(handle.release());
    return handle;
}

ProcessHandle& ProcessHandle::operator=(ProcessHandle&& other) noexcept {
    if (this == &other) return *this;
    if (fd_ >= 0) close(fd_);
    fd_ = other.release();
    return *this;
}

ProcessHandle::~ProcessHandle() {
    if (fd_ >= 0) close(fd_);
}

int ProcessHandle::release() noexcept { return std::exchange(fd_, -1); }

bool ProcessHandle::alive() const noexcept {
    pollfd p{fd_, POLLIN, 0};
    return fd_ >= 0 && poll(&p, 1, 0) == 0;
}

bool ProcessHandle::signal(int signal) const noexcept {
    return fd_ >= 0 && syscall(SYS_pidfd_send_signal, fd_, signal, nullptr, 0) == 0;
}

} // namespace keepwell
