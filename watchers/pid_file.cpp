#include "watchers/pid_file.h"

#include "watchers/procfs.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace keepwell {

namespace {

constexpr std::size_t kLargest = 4096;
constexpr std::int64_t kHighestPid = 1 << 22;
// Files have coarse times, processes count in ticks.
constexpr double kClockSlack = 0.1;

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

double seconds(const timespec& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// When the process began, by the wall clock as it is set now.
double began_at(std::uint64_t start_ticks) {
    timespec wall{}, boot{};
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return seconds(wall) - seconds(boot) + static_cast<double>(start_ticks) / ticks_per_second();
}

MainSight nothing(std::string why, bool unsettled = false) {
    MainSight s;
    s.why = std::move(why);
    s.unsettled = unsettled;
    return s;
}

// Why the file itself is not to be trusted; empty = it is.
std::string distrust(const struct stat& st, const PidFileQuery& q) {
    if (!S_ISREG(st.st_mode)) return "is no regular file";
    if (st.st_uid != 0 && st.st_uid != q.uid)
        return "belongs to user " + std::to_string(st.st_uid) +
               ", who is neither root nor the daemon's (chown it, or set user)";
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "can be written by others (chmod go-w)";
    if (static_cast<std::size_t>(st.st_size) > kLargest) return "is too large for a PID file";
    return "";
}

MainSight prove(std::int64_t pid, const struct stat& file, const PidFileQuery& q) {
    const std::string named = "names " + std::to_string(pid);
    if (pid <= 1 || pid == getpid() || pid == q.keeper)
        return nothing(named + ", which is never a daemon's");
    const auto stat_line = Procfs(q.proc).stat(pid);
    if (!stat_line || stat_line->state == 'Z' || stat_line->state == 'X')
        return nothing(named + ", which does not run");
    struct stat process {};
    if (::stat((q.proc + "/" + std::to_string(pid)).c_str(), &process) != 0)
        return nothing(named + ", which does not run");
    if (file.st_uid != 0 && process.st_uid != file.st_uid)
        return nothing(named + ", which runs as another user than the file's owner");
    if (began_at(stat_line->start_ticks) > seconds(file.st_mtim) + kClockSlack)
        return nothing(named + ", which began after the file was written (a reused PID)");
    MainSight s;
    s.pid = pid;
    s.start_ticks = stat_line->start_ticks;
    s.count = 1;
    s.owner = service_of(pid, q.proc);
    return s;
}

bool is_number(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trimmed(std::string_view text) {
    const auto from = text.find_first_not_of(" \t\r");
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

} // namespace

std::optional<std::int64_t> parse_pid(std::string_view text) noexcept {
    const auto end = text.find('\n');
    const std::string_view first = trimmed(text.substr(0, end));
    if (!is_number(first) || first.size() > 10) return std::nullopt;
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    if (end != std::string_view::npos) {
        const std::string_view rest = text.substr(end + 1);
        if (is_number(trimmed(rest.substr(0, rest.find('\n'))))) return std::nullopt;
    }
    std::int64_t pid = 0;
    std::from_chars(first.data(), first.data() + first.size(), pid);
    if (pid <= 0 || pid > kHighestPid) return std::nullopt;
    return pid;
}

MainSight read_pid_file(const PidFileQuery& q) {
    const Descriptor fd(
        open(q.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY));
    if (fd.get() < 0 && errno == ENOENT) return nothing("no PID file", true);
    if (fd.get() < 0 && errno == ELOOP) return nothing("the PID file is a symbolic link");
    if (fd.get() < 0) return nothing(std::string("the PID file: ") + std::strerror(errno));
    struct stat st {};
    if (fstat(fd.get(), &st) != 0) return nothing(std::string("the PID file: ") + strerror(errno));
    if (const std::string why = distrust(st, q); !why.empty())
        return nothing("the PID file " + why);
    char text[kLargest];
    const ssize_t n = read(fd.get(), text, sizeof text);
    const auto pid = parse_pid({text, n > 0 ? static_cast<std::size_t>(n) : 0});
    if (!pid) return nothing("the PID file holds no PID", true);
    return prove(*pid, st, q);
}

namespace {

// "/system.slice/nginx.service" of its own hierarchy; empty where there is none.
std::string service_in(const std::string& path) {
    std::string found;
    std::size_t from = 0;
    while (from < path.size()) {
        const std::size_t end = std::min(path.find('/', from), path.size());
        const std::string part = path.substr(from, end - from);
        // Of a user's manager only what is below it is a service of somebody.
        if (part.ends_with(".service") && !part.starts_with("user@")) found = part;
        from = end + 1;
    }
    return found;
}

std::string service_from(const std::string& file) {
    const Descriptor fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
    char text[8192];
    const ssize_t n = fd.get() >= 0 ? read(fd.get(), text, sizeof text) : 0;
    std::string_view rest(text, n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const bool systemds =
            line.starts_with("0::") || line.find(":name=systemd:") != std::string_view::npos;
        if (!systemds) continue;
        const std::string path(line.substr(line.rfind(':') + 1));
        if (const std::string service = service_in(path); !service.empty()) return service;
    }
    return "";
}

} // namespace

std::string service_of(std::int64_t pid, const std::string& proc) {
    const std::string service = service_from(proc + "/" + std::to_string(pid) + "/cgroup");
    return service.empty() || service == service_from("/proc/self/cgroup") ? "" : service;
}

} // namespace keepwell
