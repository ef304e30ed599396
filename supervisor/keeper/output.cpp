// Where a child's output goes: a pipe that never gives SIGPIPE, or the log file itself.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>

namespace keepwell::keeper {

bool make_output_pipe(bool large, Fd& read_end, Fd& child_end) {
    int out[2];
    if (pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0) return false;
    read_end.reset(out[0]);
    const Fd write_end(out[1]);
    if (large) (void)fcntl(out[0], F_SETPIPE_SZ, 256 << 10); // the user's quota may forbid it
    // Opened read-write, and anew: the child always has a reader (no SIGPIPE) and blocks as a
    // program expects.
    char path[40];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", out[0]);
    child_end.reset(open(path, O_RDWR | O_CLOEXEC));
    return static_cast<bool>(child_end);
}

// Before the privileges are dropped, and in the child, since a slow disk must not hold up the
// keeper. The file is its user's, so that it may open /dev/stdout; the folder is not, so it cannot
// be replaced.
int open_log_file(const wire::Body& body, char* path) {
    constexpr int kFlags =
        O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = open(path, kFlags, 0640);
    if (fd < 0 && errno == ENOENT) {
        char* const slash = std::strrchr(path, '/');
        if (slash == nullptr) return -ENOENT;
        *slash = '\0';
        (void)mkdir(path, 0750);
        *slash = '/';
        fd = open(path, kFlags, 0640);
    }
    if (fd < 0) return -errno;
    struct stat st {};
    if (fstat(fd, &st) != 0) return -errno;
    if (!S_ISREG(st.st_mode)) return -EINVAL;
    if (body.has_user != 0 && st.st_uid != body.uid && fchown(fd, body.uid, body.gid) != 0 &&
        errno != EPERM)
        return -errno;
    return fcntl(fd, F_SETFL, O_APPEND) == 0 ? fd : -errno;
}

} // namespace keepwell::keeper
