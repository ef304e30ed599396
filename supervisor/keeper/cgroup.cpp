// One cgroup v2 leaf for each unit below the keeper's own group, where that can be had.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

namespace keepwell::keeper {

namespace {

using LeafName = char[wire::kKeySize + 16];

void name_of(const Record& r, LeafName& name) {
    proc::leaf_name(r.key.text(), r.task ? r.generation : 0, name);
}

std::uint64_t hash_path(const char* text) {
    std::uint64_t h = 14695981039346656037ULL;
    for (; *text != '\0'; ++text) h = (h ^ static_cast<unsigned char>(*text)) * 1099511628211ULL;
    return h;
}

// The mount point and the root of the first cgroup2 mount.
bool find_mount(char (&mount)[256], char (&root)[256]) {
    FILE* file = std::fopen("/proc/self/mountinfo", "re");
    if (file == nullptr) return false;
    char line[1024];
    bool found = false;
    while (!found && std::fgets(line, sizeof line, file) != nullptr) {
        const char* type = std::strstr(line, " - ");
        found = type != nullptr && std::strncmp(type + 3, "cgroup2 ", 8) == 0 &&
                std::sscanf(line, "%*s %*s %*s %255s %255s", root, mount) == 2;
    }
    std::fclose(file);
    return found;
}

bool own_group(char* out, std::size_t size, const char* process) {
    char path[40], text[4096];
    std::snprintf(path, sizeof path, "/proc/%s/cgroup", process);
    if (proc::read_file(AT_FDCWD, path, text, sizeof text) <= 0) return false;
    for (char* line = text; line != nullptr && *line != '\0';) {
        char* end = std::strchr(line, '\n');
        if (end != nullptr) *end = '\0';
        if (std::strncmp(line, "0::", 3) == 0) {
            std::snprintf(out, size, "%s", line + 3);
            return true;
        }
        line = end == nullptr ? nullptr : end + 1;
    }
    return false;
}

template <std::size_t N>
bool leaf_file(const Keeper& k, const Record& r, const char* file, char (&text)[N]) {
    LeafName name;
    name_of(r, name);
    char path[sizeof name + 32];
    std::snprintf(path, sizeof path, "%s/%s", name, file);
    return r.leaf && k.cgroup_base && proc::read_file(k.cgroup_base.get(), path, text, N) > 0;
}

// Helpers of a keeper that was killed: nobody waits for them.
void sweep_tasks(const Keeper& k) {
    const int fd = openat(k.cgroup_base.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* dir = fd < 0 ? nullptr : fdopendir(fd);
    if (dir == nullptr) return;
    while (const dirent* entry = readdir(dir)) {
        if (std::strncmp(entry->d_name, "+task-", 6) != 0) continue;
        const Fd leaf(openat(fd, entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC));
        const Fd kill(openat(leaf.get(), "cgroup.kill", O_WRONLY | O_CLOEXEC));
        if (kill) (void)!write(kill.get(), "1", 1);
        unlinkat(k.cgroup_base.get(), entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

} // namespace

void find_cgroup(Keeper& k) {
    char real[512];
    if (realpath(k.runtime_dir, real) == nullptr) return;
    std::snprintf(k.cgroup_name, sizeof k.cgroup_name, "keepwell-%016llx",
                  static_cast<unsigned long long>(hash_path(real)));
    char mount[256] = {}, root[256] = {}, group[192] = {};
    if (!k.can.cgroup || !find_mount(mount, root) || !own_group(group, sizeof group, "self"))
        return;
    char* main = std::strrchr(group, '/'); // an earlier keeper may have moved us into our leaf
    if (main != nullptr && std::strncmp(main + 1, k.cgroup_name, std::strlen(k.cgroup_name)) == 0 &&
        std::strcmp(main + 1 + std::strlen(k.cgroup_name), kMainSuffix) == 0)
        main[main == group ? 1 : 0] = '\0';
    const char* below = group;
    if (std::strcmp(root, "/") != 0 && std::strncmp(group, root, std::strlen(root)) == 0)
        below += std::strlen(root);
    const char* slash = std::strcmp(below, "/") == 0 ? "" : below;
    std::snprintf(k.cgroup_path, sizeof k.cgroup_path, "%s%s/%s", mount, slash, k.cgroup_name);
    std::snprintf(k.cgroup_relative, sizeof k.cgroup_relative, "%s/%s",
                  std::strcmp(group, "/") == 0 ? "" : group, k.cgroup_name);
    if (mkdir(k.cgroup_path, 0755) != 0 && errno != EEXIST) k.cgroup_path[0] = '\0';
    k.cgroup_base.reset(open(k.cgroup_path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    // Without the right to move a process there a leaf is of no use.
    if (!k.cgroup_base || faccessat(k.cgroup_base.get(), "cgroup.procs", W_OK, AT_EACCESS) != 0) {
        k.cgroup_base.reset();
        k.cgroup_path[0] = '\0';
        return;
    }
    sweep_tasks(k);
}

// Always a new one: Linux 6.18 kills whatever is cloned into a group whose cgroup.kill was ever
// used, and a frozen one would freeze who comes next.
int make_leaf(Keeper& k, const Record& r) {
    if (!k.cgroup_base) return -1;
    LeafName name;
    name_of(r, name);
    unlinkat(k.cgroup_base.get(), name, AT_REMOVEDIR);
    if (mkdirat(k.cgroup_base.get(), name, 0755) != 0 && errno == ENOENT) {
        mkdir(k.cgroup_path, 0755); // the base itself was removed under us
        k.cgroup_base.reset(open(k.cgroup_path, O_PATH | O_DIRECTORY | O_CLOEXEC));
        mkdirat(k.cgroup_base.get(), name, 0755);
    }
    return openat(k.cgroup_base.get(), name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int open_leaf(const Keeper& k, const Record& r) {
    if (!r.leaf || !k.cgroup_base) return -1;
    LeafName name;
    name_of(r, name);
    return openat(k.cgroup_base.get(), name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void remove_leaf(Keeper& k, const Record& r) {
    if (!k.cgroup_base) return;
    LeafName name;
    name_of(r, name);
    unlinkat(k.cgroup_base.get(), name, AT_REMOVEDIR);
}

bool leaf_populated(const Keeper& k, const Record& r) {
    char text[256]; // a removed one has nothing in it
    return leaf_file(k, r, "cgroup.events", text) && std::strstr(text, "populated 1") != nullptr;
}

bool in_leaf(const Keeper& k, const Record& r, pid_t process) {
    if (!k.cgroup_base) return false;
    LeafName name;
    name_of(r, name);
    char pid[16], group[1024], wanted[1024];
    std::snprintf(pid, sizeof pid, "%d", process);
    std::snprintf(wanted, sizeof wanted, "%s/%s", k.cgroup_relative, name);
    return own_group(group, sizeof group, pid) && std::strcmp(group, wanted) == 0;
}

void watch_leaf(Keeper& k, Record& r) {
    if (r.watch >= 0) return;
    LeafName name;
    name_of(r, name);
    char path[768];
    std::snprintf(path, sizeof path, "%s/%s/cgroup.events", k.cgroup_path, name);
    r.watch = inotify_add_watch(k.inotify.get(), path, IN_MODIFY);
    if (r.watch < 0) k.scan_wanted = true; // no watches left: ask from time to time
}

void unwatch_leaf(Keeper& k, Record& r) {
    if (r.watch >= 0) inotify_rm_watch(k.inotify.get(), r.watch);
    r.watch = -1;
}

void on_inotify(Keeper& k) {
    alignas(inotify_event) char buffer[4096];
    ssize_t n = 0;
    while ((n = read(k.inotify.get(), buffer, sizeof buffer)) > 0) {
        for (char* at = buffer; at < buffer + n;) {
            const auto* event = reinterpret_cast<const inotify_event*>(at);
            at += sizeof(inotify_event) + event->len;
            for (std::uint32_t i = 0; i < k.record_count; ++i) {
                Record* r = k.records[i];
                if (r == nullptr || r->watch != event->wd) continue;
                if ((event->mask & IN_IGNORED) != 0) r->watch = -1;
                check_tree(k, *r);
                break;
            }
        }
    }
}

void remove_cgroups(Keeper& k) {
    if (!k.cgroup_base) return;
    const int fd = openat(k.cgroup_base.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (DIR* dir = fd < 0 ? nullptr : fdopendir(fd)) {
        while (const dirent* entry = readdir(dir))
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                unlinkat(k.cgroup_base.get(), entry->d_name, AT_REMOVEDIR); // only empty ones go
        closedir(dir);
    }
    rmdir(k.cgroup_path);
}

} // namespace keepwell::keeper
