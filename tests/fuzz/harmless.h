// The keeper's parts in a fuzzer can neither make a process nor signal one: the kernel refuses
// both.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keepwell::fuzz {

inline void become_harmless() {
    // The keeper takes low descriptors for its children; nobody else may have them.
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 3; fd < 64; ++fd)
        if (fcntl(fd, F_GETFD) < 0) dup3(null, fd, O_CLOEXEC);
    static constexpr long kRefused[] = {
        SYS_clone, SYS_clone3, SYS_fork, SYS_vfork, SYS_execve, SYS_kill, SYS_pidfd_send_signal};
    constexpr std::size_t kCount = sizeof kRefused / sizeof kRefused[0];
    sock_filter code[kCount + 3];
    std::size_t n = 0;
    code[n++] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
    for (std::size_t i = 0; i < kCount; ++i)
        code[n++] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(kRefused[i]),
                             static_cast<unsigned char>(kCount - i), 0);
    code[n++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN);
    const sock_fprog program{static_cast<unsigned short>(n), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        abort();
}

} // namespace keepwell::fuzz
