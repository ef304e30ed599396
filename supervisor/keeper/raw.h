// The kernel's calls without errno: what a child may use that runs on the keeper's memory until its
// exec. Its errno would be the keeper's own.
//
// call() returns what the kernel does, errno in negative. start_on() makes a process that shares
// the memory of this one and begins with fn(arg) on a stack of its own; the pid, or errno in
// negative. Where kPrivate is false there is no such call for this machine and nobody may ask for
// it.
#pragma once

#include <cerrno>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keepwell::keeper::raw {

#if defined(__x86_64__)

inline constexpr bool kPrivate = true;

inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
    long result = number;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                 : "rcx", "r11", "memory");
    return result;
}

inline long start_on(clone_args& args, void (*fn)(void*), void* arg) {
    long result = SYS_clone3;
    // Named, because the child wipes rbp before it uses them: the compiler might have chosen that.
    register void* r8 asm("r8") = arg;
    asm volatile("syscall\n\t"
                 "test %%rax, %%rax\n\t"
                 "jnz 1f\n\t"
                 "xor %%ebp, %%ebp\n\t" // the first frame of this stack
                 "mov %%r8, %%rdi\n\t"
                 "call *%%rdx\n\t"
                 "ud2\n"
                 "1:"
                 : "+a"(result)
                 : "D"(&args), "S"(sizeof args), "d"(fn), "r"(r8)
                 : "rcx", "r11", "memory");
    return result;
}

#else

inline constexpr bool kPrivate = false;

inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
    const long result = syscall(number, a, b, c, d, e);
    return result == -1 ? -errno : result;
}

inline long start_on(clone_args&, void (*)(void*), void*) { return -ENOSYS; }

#endif

template <typename T>
long pointer(T* p) {
    return reinterpret_cast<long>(p);
}

} // namespace keepwell::keeper::raw
