#include "supervisor/keeper/proc.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace keepwell::proc {

ssize_t read_file(int dir, const char* path, char* buffer, std::size_t size) {
    const int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    std::size_t used = 0;
    ssize_t n = 0;
    while (used + 1 < size && (n = read(fd, buffer + used, size - 1 - used)) > 0)
        used += static_cast<std::size_t>(n);
    const int error = errno;
    close(fd);
    buffer[used] = '\0';
    errno = error;
    return n < 0 && used == 0 ? -1 : static_cast<ssize_t>(used);
}

bool read_stat(pid_t pid, Stat& out) {
    char path[32], text[1024];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_file(AT_FDCWD, path, text, sizeof text) <= 0) return false;
    // The name may hold spaces and brackets: it ends at the last one.
    char* open = std::strchr(text, '(');
    char* close = std::strrchr(text, ')');
    if (open == nullptr || close == nullptr || close < open || close[1] != ' ') return false;
    out.pid = pid;
    *close = '\0';
    std::snprintf(out.name, sizeof out.name, "%.15s", open + 1);
    out.state = close[2];
    char* rest = close + 3;
    out.ppid = static_cast<pid_t>(std::strtol(rest, &rest, 10)); // field 4
    for (int field = 5; field <= 22; ++field) {
        errno = 0;
        const unsigned long long value = std::strtoull(rest, &rest, 10);
        if (field == 6) out.session = static_cast<pid_t>(value);
        if (field == 22) out.start_ticks = value;
    }
    return out.start_ticks != 0;
}

bool read_mark(pid_t pid, Mark& mark) {
    static constexpr char kUnit[] = "KEEPWELL_UNIT=", kTask[] = "KEEPWELL_TASK=",
                          kFleet[] = "KEEPWELL_FLEET=";
    constexpr std::size_t length = sizeof kUnit - 1;
    static_assert(sizeof kUnit == sizeof kTask);
    mark = Mark{};
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/environ", pid);
    FILE* file = std::fopen(path, "re");
    if (file == nullptr) return false;
    char* line = nullptr;
    std::size_t capacity = 0;
    bool found = false, task = false;
    while (getdelim(&line, &capacity, '\0', file) >= 0) {
        if (std::strncmp(line, kFleet, sizeof kFleet - 1) == 0)
            std::snprintf(mark.fleet, sizeof mark.fleet, "%s", line + sizeof kFleet - 1);
        const bool of_task = std::strncmp(line, kTask, length) == 0;
        if (!of_task && (task || std::strncmp(line, kUnit, length) != 0)) continue;
        std::snprintf(mark.unit, sizeof mark.unit, "%s", line + length);
        found = true;
        task = of_task;
    }
    std::free(line);
    std::fclose(file);
    return found;
}

void leaf_name(const char* key, std::uint64_t task_id, char (&out)[wire::kKeySize + 16]) {
    if (task_id != 0) {
        std::snprintf(out, sizeof out, "+task-%llu", static_cast<unsigned long long>(task_id));
        return;
    }
    const bool guarded = key[0] == '_' || std::strchr(key, '.') != nullptr;
    std::snprintf(out, sizeof out, "%s%s", guarded ? "_" : "", key);
}

void each_process(void (*visit)(void*, pid_t), void* context) {
    DIR* dir = opendir("/proc");
    if (dir == nullptr) return;
    while (const dirent* entry = readdir(dir)) {
        char* end = nullptr;
        const long pid = std::strtol(entry->d_name, &end, 10);
        if (pid > 0 && *end == '\0') visit(context, static_cast<pid_t>(pid));
    }
    closedir(dir);
}

bool each_in_cgroup(int dir, void (*visit)(void*, pid_t), void* context) {
    const int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE* file = fd < 0 ? nullptr : fdopen(fd, "r");
    if (file == nullptr) {
        if (fd >= 0) close(fd);
        return false;
    }
    int pid = 0;
    while (std::fscanf(file, "%d", &pid) == 1)
        if (pid > 0) visit(context, pid);
    std::fclose(file);
    return true;
}

} // namespace keepwell::proc
