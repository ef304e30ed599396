#include "supervisor/notify/notify_sender.h"

#include "supervisor/keeper/proc.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr int kMostAncestors = 64;

struct PidfdInfo { // struct pidfd_info of Linux 6.13, first version
    std::uint64_t mask, cgroup;
    std::uint32_t ids[12];
};
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);
// Of a dead process the group is known only together with its exit.
constexpr std::uint64_t kPidfdInfoCgroup = 1U << 2, kPidfdInfoExit = 1U << 3;

// The words of keeper/main.cpp: any value but 0, or all of them at once.
bool switched_off(const char* name) {
    for (const char* variable : {name, "KEEPWELL_NO_CAPABILITIES"}) {
        const char* value = std::getenv(variable);
        if (value != nullptr && *value != '\0' && std::string_view(value) != "0") return true;
    }
    return false;
}

std::optional<std::uint64_t> cgroup_id(int pidfd) {
    PidfdInfo info{};
    info.mask = kPidfdInfoCgroup | kPidfdInfoExit;
    if (pidfd < 0 || switched_off("KEEPWELL_NO_PIDFD_INFO")) return std::nullopt;
    if (::ioctl(pidfd, kPidfdGetInfo, &info) != 0 || (info.mask & kPidfdInfoCgroup) == 0)
        return std::nullopt;
    return info.cgroup;
}

// What was read by pid belongs to the sender if that still exists afterwards.
bool exists(const NotifySender& s) {
    const long result = s.pidfd ? ::syscall(SYS_pidfd_send_signal, s.pidfd.get(), 0, nullptr, 0)
                                : ::kill(static_cast<pid_t>(s.pid), 0);
    return result == 0 || errno == EPERM;
}

// The path of a process below the mount of cgroup2: "/keepwell-1f/web".
std::string cgroup_of(std::int64_t pid) {
    char path[40], text[8192];
    std::snprintf(path, sizeof path, "/proc/%lld/cgroup", static_cast<long long>(pid));
    if (proc::read_file(AT_FDCWD, path, text, sizeof text) <= 0) return {};
    const std::string_view all(text);
    const std::size_t at = all.starts_with("0::") ? 0 : all.find("\n0::");
    if (at == std::string_view::npos) return {};
    const std::string_view rest = all.substr(at + (at == 0 ? 3 : 4));
    return std::string(rest.substr(0, rest.find('\n')));
}

// Is the group the leaf or below it? The leaf's path has the mount point in front.
bool below(const std::string& group, const std::string& leaf) {
    const std::size_t name = leaf.rfind('/');
    const std::size_t base =
        name == std::string::npos || name == 0 ? name : leaf.rfind('/', name - 1);
    if (base == std::string::npos) return false;
    const std::size_t at = group.find(leaf.substr(base)); // "/keepwell-1f/web"
    if (at == std::string::npos) return false;
    const std::size_t end = at + leaf.size() - base;
    if (end != group.size() && group[end] != '/') return false;
    return std::string_view(leaf).ends_with(std::string_view(group).substr(0, end));
}

bool in_cgroup(const NotifySender& s, const std::string& leaf) {
    struct stat st {};
    if (const auto id = cgroup_id(s.pidfd.get()); id && ::stat(leaf.c_str(), &st) == 0)
        if (*id == st.st_ino) return true;
    return below(cgroup_of(s.pid), leaf) && exists(s);
}

bool by_ancestry(const NotifySender& s, const std::string& key, const KeeperClient::Tree& tree) {
    const bool same_user = s.uid == tree.uid;
    proc::Mark mark;
    proc::Stat stat;
    auto pid = static_cast<pid_t>(s.pid);
    for (int i = 0; i < kMostAncestors && pid > 1 && proc::read_stat(pid, stat); ++i) {
        if (pid == tree.main || stat.session == tree.main) return exists(s);
        if (i == 0 && same_user && proc::read_mark(pid, mark) && key == mark.unit &&
            tree.fleet == mark.fleet)
            return exists(s);
        pid = stat.ppid;
    }
    return same_user && !exists(s);
}

} // namespace

bool belongs(const NotifySender& s, const std::string& key, const KeeperClient::Tree& tree) {
    if (s.pid <= 0) return false;
    // While the exit of the main process is not told its pid is its own.
    if (s.pid == tree.main) return true;
    return tree.cgroup.empty() ? by_ancestry(s, key, tree) : in_cgroup(s, tree.cgroup);
}

} // namespace keepwell
