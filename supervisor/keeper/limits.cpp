// Limits of a unit's whole tree: memory, cpu, pids. In its v2 leaf where the controllers are
// delegated to us, else by a group for each unit in the v1 hierarchies that we may write, else not
// at all, and the report says so.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace keepwell::keeper {

namespace {

constexpr unsigned kPeriodUs = 100'000; // of cpu bandwidth, the kernel's own default

struct Controller {
    const char* name;
    std::uint32_t missing; // bit of the report
    const char *v2_file, *v1_file;
};
constexpr Controller kControllers[kControllerCount] = {
    {"memory", wire::kNoMemoryLimit, "memory.max", "memory.limit_in_bytes"},
    {"cpu", wire::kNoCpuLimit, "cpu.max", "cpu.cfs_quota_us"},
    {"pids", wire::kNoPidsLimit, "pids.max", "pids.max"}};
constexpr std::uint32_t kMemory = 0;

bool has_word(const char* text, const char* word, const char* separators) {
    const std::size_t length = std::strlen(word);
    for (const char* at = text; *at != '\0';) {
        const std::size_t n = std::strcspn(at, separators);
        if (n == length && std::strncmp(at, word, n) == 0) return true;
        at += n + (at[n] != '\0' ? 1 : 0);
    }
    return false;
}

bool write_file(int dir, const char* path, const char* text) {
    const Fd file(openat(dir, path, O_WRONLY | O_CLOEXEC));
    const auto size = static_cast<ssize_t>(std::strlen(text));
    return file && write(file.get(), text, static_cast<std::size_t>(size)) == size;
}

// ---- v2

// "memory" in "cpuset cpu memory"
bool lists(int dir, const char* file, const char* name) {
    char text[512];
    return proc::read_file(dir, file, text, sizeof text) > 0 && has_word(text, name, " \n");
}

bool alone_in(int group) {
    char text[64];
    if (proc::read_file(group, "cgroup.procs", text, sizeof text) <= 0) return false;
    char* end = nullptr;
    return std::strtol(text, &end, 10) == getpid() && std::strcmp(end, "\n") == 0;
}

// A group with processes of its own cannot hand controllers down, so those that are there (the
// keeper alone, at this time) move into a leaf beside the units.
void leave_inner_group(const Keeper& k, int group) {
    if (!alone_in(group)) return;
    char name[sizeof k.cgroup_name + 8];
    std::snprintf(name, sizeof name, "%s%s", k.cgroup_name, kMainSuffix);
    mkdirat(group, name, 0755);
    const Fd leaf(openat(group, name, O_PATH | O_DIRECTORY | O_CLOEXEC));
    (void)write_file(leaf.get(), "cgroup.procs", "0");
}

void delegate(Keeper& k) {
    if (!k.cgroup_base) return;
    const Fd group(openat(k.cgroup_base.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    bool moved = false;
    for (std::uint32_t i = 0; i < kControllerCount; ++i) {
        char text[32];
        std::snprintf(text, sizeof text, "+%s", kControllers[i].name);
        if (!lists(k.cgroup_base.get(), "cgroup.controllers", kControllers[i].name)) {
            if (!lists(group.get(), "cgroup.controllers", kControllers[i].name)) continue;
            if (!moved) leave_inner_group(k, group.get());
            moved = true;
            if (!write_file(group.get(), "cgroup.subtree_control", text)) continue;
        }
        k.delegated[i] = write_file(k.cgroup_base.get(), "cgroup.subtree_control", text);
    }
}

// ---- v1

// Our own group in the hierarchy of that controller, with the folder of this fleet below it.
bool find_hierarchy(const Keeper& k, const char* name, char (&out)[512]) {
    FILE* file = std::fopen("/proc/self/mountinfo", "re");
    if (file == nullptr) return false;
    char line[1024], mount[256] = {}, root[256] = {};
    bool found = false;
    while (!found && std::fgets(line, sizeof line, file) != nullptr) {
        const char* type = std::strstr(line, " - cgroup ");
        const char* options = type != nullptr ? std::strrchr(type, ' ') : nullptr;
        found = options != nullptr && has_word(options + 1, name, ",\n") &&
                std::sscanf(line, "%*s %*s %*s %255s %255s", root, mount) == 2;
    }
    std::fclose(file);
    char text[4096];
    if (!found || proc::read_file(AT_FDCWD, "/proc/self/cgroup", text, sizeof text) <= 0)
        return false;
    for (char* at = text; at != nullptr && *at != '\0';) {
        char* end = std::strchr(at, '\n');
        if (end != nullptr) *end = '\0';
        char* names = std::strchr(at, ':');
        char* path = names != nullptr ? std::strchr(names + 1, ':') : nullptr;
        if (path != nullptr) {
            *path++ = '\0';
            if (has_word(names + 1, name, ",")) {
                const std::size_t skip = std::strcmp(root, "/") == 0 ? 0 : std::strlen(root);
                if (std::strncmp(path, root, skip) != 0) return false;
                const char* below = path + skip;
                std::snprintf(out, sizeof out, "%s%s/%s", mount,
                              std::strcmp(below, "/") == 0 ? "" : below, k.cgroup_name);
                return true;
            }
        }
        at = end == nullptr ? nullptr : end + 1;
    }
    return false;
}

using UnitPath = char[512 + wire::kKeySize + 48];

void path_of(const Keeper& k, const Record& r, std::uint32_t i, UnitPath& path,
             const char* file = "") {
    char name[wire::kKeySize + 16];
    proc::leaf_name(r.key.text(), 0, name);
    std::snprintf(path, sizeof path, "%s/%s/%s", k.legacy_path[i], name, file);
}

bool write_legacy(const Keeper& k, const Record& r, std::uint32_t i, const char* file,
                  const char* text) {
    UnitPath path;
    path_of(k, r, i, path, file);
    return write_file(AT_FDCWD, path, text);
}

bool make_legacy(const Keeper& k, const Record& r, std::uint32_t i) {
    UnitPath path;
    path_of(k, r, i, path);
    if (k.legacy_path[i][0] == '\0') return false;
    if (mkdir(path, 0755) == 0 || errno == EEXIST) return true;
    return errno == ENOENT && mkdir(k.legacy_path[i], 0755) == 0 && mkdir(path, 0755) == 0;
}

// Only empty groups go.
void sweep_hierarchy(const char* path) {
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* dir = fd < 0 ? nullptr : fdopendir(fd);
    if (dir == nullptr) return;
    while (const dirent* entry = readdir(dir))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    closedir(dir);
    rmdir(path);
}

// ---- one limit

void value_of(const wire::Body& body, std::uint32_t i, bool v2, char (&text)[48]) {
    const unsigned long long quota = std::uint64_t{body.cpu_percent} * (kPeriodUs / 100);
    const std::uint64_t plain = i == kMemory ? body.memory_max : body.pids_max;
    if (i == 1 && v2)
        std::snprintf(text, sizeof text, "%llu %u", quota, kPeriodUs);
    else
        std::snprintf(text, sizeof text, "%llu",
                      i == 1 ? quota : static_cast<unsigned long long>(plain));
}

bool asked(const wire::Body& body, std::uint32_t i) {
    const bool limits[] = {body.memory_max != 0, body.cpu_percent != 0, body.pids_max != 0};
    return limits[i];
}

bool limit(const Keeper& k, Record& r, const wire::Body& body, int leaf, std::uint32_t i) {
    char text[48];
    if (k.delegated[i] && leaf >= 0) {
        value_of(body, i, true, text);
        return write_file(leaf, kControllers[i].v2_file, text);
    }
    if (!make_legacy(k, r, i)) return false;
    r.legacy |= 1U << i;
    value_of(body, i, false, text);
    char pid[16];
    std::snprintf(pid, sizeof pid, "%d", r.pid);
    return write_legacy(k, r, i, kControllers[i].v1_file, text) &&
           write_legacy(k, r, i, "cgroup.procs", pid);
}

std::uint64_t counter(const char* text) {
    const char* at = std::strstr(text, "oom_kill ");
    return at == nullptr ? 0 : std::strtoull(at + 9, nullptr, 10);
}

std::uint64_t oom_kills(const Keeper& k, const Record& r) {
    char text[512];
    if ((r.legacy & 1U << kMemory) != 0) {
        UnitPath path;
        path_of(k, r, kMemory, path, "memory.oom_control");
        return proc::read_file(AT_FDCWD, path, text, sizeof text) > 0 ? counter(text) : 0;
    }
    if (!k.delegated[kMemory] || !r.leaf) return 0;
    const Fd leaf(open_leaf(k, r));
    return leaf && proc::read_file(leaf.get(), "memory.events", text, sizeof text) > 0
               ? counter(text)
               : 0;
}

} // namespace

void find_limits(Keeper& k) {
    if (!k.can.cgroup || k.cgroup_name[0] == '\0') return;
    delegate(k);
    for (std::uint32_t i = 0; i < kControllerCount; ++i) {
        if (k.delegated[i] || !find_hierarchy(k, kControllers[i].name, k.legacy_path[i])) continue;
        sweep_hierarchy(k.legacy_path[i]);
    }
}

// The process exists and waits for its go byte.
void set_limits(Keeper& k, Record& r, const wire::Body& body, int leaf) {
    r.missing = 0;
    for (std::uint32_t i = 0; i < kControllerCount; ++i) {
        // A leaf that served an earlier instance may still have its limits.
        if (!asked(body, i)) {
            if (k.delegated[i] && leaf >= 0) (void)write_file(leaf, kControllers[i].v2_file, "max");
        } else if (!limit(k, r, body, leaf, i)) {
            r.missing |= kControllers[i].missing;
        }
    }
    r.oom_before = r.oom_seen = oom_kills(k, r);
}

void adopt_limits(Keeper& k, Record& r) {
    for (std::uint32_t i = 0; i < kControllerCount; ++i) {
        UnitPath path;
        path_of(k, r, i, path);
        if (k.legacy_path[i][0] != '\0' && access(path, F_OK) == 0) r.legacy |= 1U << i;
    }
    r.oom_before = r.oom_seen = oom_kills(k, r);
}

// Called every few seconds: what was counted before the last two calls killed somebody else of the
// tree, not a main process that has ended just now.
void note_oom(Keeper& k) {
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        Record* r = k.records[i];
        if (r == nullptr || r->task || r->phase != Phase::Running) continue;
        if (!k.delegated[kMemory] && (r->legacy & 1U << kMemory) == 0) continue;
        r->oom_before = r->oom_seen;
        r->oom_seen = oom_kills(k, *r);
    }
}

bool killed_by_oom(const Keeper& k, const Record& r) {
    return !r.killed && oom_kills(k, r) > r.oom_before;
}

void remove_limits(Keeper& k, Record& r) {
    for (std::uint32_t i = 0; i < kControllerCount; ++i) {
        if ((r.legacy & 1U << i) == 0) continue;
        UnitPath path;
        path_of(k, r, i, path);
        rmdir(path);
    }
    r.legacy = 0;
}

void remove_all_limits(Keeper& k) {
    for (const auto& path : k.legacy_path)
        if (path[0] != '\0') sweep_hierarchy(path);
}

} // namespace keepwell::keeper
