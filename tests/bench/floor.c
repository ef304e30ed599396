// floor BEACON SLOTFILE N: starts N beacons and restarts each that ends, with nothing but waitpid
// and posix_spawn: the physical limit of restarting on this kernel, against which the others are
// measured.
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;
static int index_of[1 << 22]; // by pid; pid_max is at most this

static void start(char* beacon, char* slots, int i) {
    char number[16];
    snprintf(number, sizeof number, "%d", i);
    char* argv[] = {beacon, slots, number, 0};
    pid_t pid;
    if (posix_spawn(&pid, beacon, 0, 0, argv, environ) == 0) index_of[pid] = i;
}

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    const int n = atoi(argv[3]);
    for (int i = 0; i < n; i++) start(argv[1], argv[2], i);
    for (;;) {
        int status;
        const pid_t pid = waitpid(-1, &status, 0);
        if (pid < 0) return 1;
        start(argv[1], argv[2], index_of[pid]);
    }
}
