// beacon SLOTFILE INDEX [flood BYTES [WRITE]]: on start writes {start monotonic ns, pid, starts}
// into its slot of a shared file, then sleeps. flood: first prints BYTES in 100-byte lines, WRITE
// bytes a write (default 65500), and leaves the time that took in the slot.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct slot {
    volatile int64_t start_ns, pid, starts, flood_ns;
};

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int flood(long long bytes, size_t size) {
    static char text[1 << 16];
    for (size_t k = 0; k < sizeof text; k++)
        text[k] = (k % 100 == 99) ? '\n' : (char)('a' + k % 26);
    for (long long written = 0; written < bytes; written += (long long)size)
        for (size_t done = 0; done < size;) {
            ssize_t r = write(1, text + done, size - done);
            if (r <= 0) return -1;
            done += (size_t)r;
        }
    return 0;
}

int main(int argc, char** argv) {
    const int64_t begin = now();
    if (argc < 3) return 2;
    const int fd = open(argv[1], O_RDWR | O_CLOEXEC);
    if (fd < 0) return 3;
    const long offset = atol(argv[2]) * (long)sizeof(struct slot), page = offset / 4096 * 4096;
    char* map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
    if (map == MAP_FAILED) return 4;
    struct slot* s = (struct slot*)(map + (offset - page));
    s->pid = getpid();
    s->starts = s->starts + 1;
    s->start_ns = begin;
    close(fd);
    if (argc >= 5 && !strcmp(argv[3], "flood")) {
        const size_t size = argc >= 6 ? (size_t)atol(argv[5]) : 65500;
        const int64_t from = now();
        if (size == 0 || size > 65500 || flood(atoll(argv[4]), size)) return 5;
        s->flood_ns = now() - from;
    }
    for (;;) pause();
}
