#include "watchers/procfs.h"

#include "watchers/dir.h"
#include "watchers/proc_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <unordered_set>

namespace keepwell {

namespace {

Dir open_dir(const std::string& path) noexcept {
    const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return nullptr;
    DIR* dir = fdopendir(fd);
    if (dir == nullptr) close(fd);
    return Dir(dir);
}

template <class F>
void for_each_name(const Dir& dir, const F& f) {
    while (const dirent* entry = readdir(dir.get()))
        if (entry->d_name[0] != '.') f(std::string_view(entry->d_name));
}

std::uint64_t page_size() noexcept {
    static const auto size = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return size;
}

} // namespace

std::optional<std::string> read_proc_file(const std::string& path, std::size_t limit) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    std::string out;
    constexpr std::size_t step = 4096;
    bool ok = true;
    while (out.size() < limit) {
        const std::size_t had = out.size();
        out.resize(had + std::min(step, limit - had));
        const ssize_t n = read(fd, out.data() + had, out.size() - had);
        out.resize(had + (n > 0 ? static_cast<std::size_t>(n) : 0));
        if (n < 0 && errno == EINTR) continue;
        ok = n >= 0;
        if (n <= 0) break;
    }
    close(fd);
    if (!ok) return std::nullopt; // the process ended between open and read
    return out;
}

std::optional<ProcStat> parse_stat(std::string_view text) {
    const auto open = text.find('(');
    const auto shut = text.rfind(')'); // the name may hold both
    if (open == std::string_view::npos || shut == std::string_view::npos || shut < open)
        return std::nullopt;
    ProcStat s;
    std::string_view head = text.substr(0, open);
    const auto pid = to_number<std::int64_t>(take_word(head));
    if (!pid) return std::nullopt;
    s.pid = *pid;
    s.name = text.substr(open + 1, shut - open - 1);
    std::string_view rest = text.substr(shut + 1);
    const std::string_view state = take_word(rest);
    if (state.size() != 1) return std::nullopt;
    s.state = state[0];
    bool ok = true;
    const auto number = [&](auto& to, int skip) {
        while (skip-- > 0) take_word(rest);
        const auto value = to_number<std::remove_reference_t<decltype(to)>>(take_word(rest));
        ok = ok && value.has_value();
        if (value) to = *value;
    };
    number(s.parent, 0); // field 4 of proc(5)
    number(s.group, 0);
    number(s.session, 0);
    number(s.user_ticks, 7); // 14
    number(s.system_ticks, 0);
    number(s.threads, 4);     // 20
    number(s.start_ticks, 1); // 22
    std::int64_t rss = 0;
    number(s.virtual_bytes, 0); // 23
    number(rss, 0);             // 24
    s.rss_pages = static_cast<std::uint64_t>(std::max<std::int64_t>(rss, 0));
    if (!ok) return std::nullopt;
    return s;
}

Procfs::Procfs(std::string root) : root_(std::move(root)) {}

std::optional<ProcStat> Procfs::stat(std::int64_t pid) const {
    const int fd =
        open((root_ + '/' + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    char text[2048]; // 52 numbers and a name; the kernel gives it whole
    ssize_t n = 0;
    do n = read(fd, text, sizeof text);
    while (n < 0 && errno == EINTR);
    close(fd);
    if (n <= 0) return std::nullopt;
    return parse_stat({text, static_cast<std::size_t>(n)});
}

std::optional<ProcessSample> Procfs::sample_process(std::int64_t pid, bool count_fds) const {
    const auto s = stat(pid);
    if (!s) return std::nullopt;
    ProcessSample sample;
    sample.cpu_ticks = s->user_ticks + s->system_ticks;
    sample.system_ticks = s->system_ticks;
    sample.rss_bytes = s->rss_pages * page_size();
    sample.threads = s->threads;
    sample.start_ticks = s->start_ticks;
    sample.parent = s->parent;
    sample.state = s->state;
    if (count_fds) sample.open_fds = this->count_fds(pid);
    return sample;
}

bool Procfs::fds_are_cheap() const {
    static const bool counted = [] { // this process has some
        struct stat folder {};
        return ::stat("/proc/self/fd", &folder) == 0 && folder.st_size > 0;
    }();
    return counted && root_ == "/proc";
}

std::optional<std::uint64_t> Procfs::count_fds(std::int64_t pid) const {
    const std::string path = root_ + '/' + std::to_string(pid) + "/fd";
    if (fds_are_cheap()) {
        struct stat folder {};
        if (::stat(path.c_str(), &folder) != 0) return std::nullopt;
        return static_cast<std::uint64_t>(folder.st_size);
    }
    const Dir fds = open_dir(path);
    if (!fds) return std::nullopt;
    std::uint64_t count = 0;
    for_each_name(fds, [&](std::string_view) { ++count; });
    return count;
}

std::vector<std::int64_t> Procfs::all() const {
    std::vector<std::int64_t> pids;
    const Dir dir = open_dir(root_);
    if (!dir) return pids;
    for_each_name(dir, [&](std::string_view name) {
        if (const auto number = to_number<std::int64_t>(name)) pids.push_back(*number);
    });
    return pids;
}

bool Procfs::lists_children(std::int64_t pid) const {
    const std::string number = std::to_string(pid);
    return access((root_ + '/' + number + "/task/" + number + "/children").c_str(), F_OK) == 0;
}

void Procfs::children(std::int64_t pid, std::vector<std::int64_t>& to) const {
    const std::string tasks = root_ + '/' + std::to_string(pid) + "/task";
    const Dir dir = open_dir(tasks);
    if (!dir) return;
    for_each_name(dir, [&](std::string_view thread) {
        const auto text = read_proc_file(tasks + '/' + std::string(thread) + "/children");
        if (!text) return;
        std::string_view rest = *text;
        while (const auto child = to_number<std::int64_t>(take_word(rest))) to.push_back(*child);
    });
}

std::vector<std::int64_t> Procfs::tree(std::int64_t pid, std::size_t limit) const {
    if (!stat(pid)) return {};
    if (!lists_children(pid)) return tree_by_scan(pid, limit);
    std::vector<std::int64_t> found = {pid};
    std::unordered_set<std::int64_t> seen = {pid};
    std::vector<std::int64_t> next;
    for (std::size_t i = 0; i < found.size() && found.size() < limit; ++i) {
        next.clear();
        children(found[i], next);
        for (const auto child : next)
            if (found.size() < limit && seen.insert(child).second) found.push_back(child);
    }
    return found;
}

std::vector<std::int64_t> Procfs::tree_by_scan(std::int64_t pid, std::size_t limit) const {
    std::unordered_multimap<std::int64_t, std::int64_t> by_parent;
    for (const std::int64_t one : all())
        if (const auto s = stat(one)) by_parent.emplace(s->parent, s->pid);
    std::vector<std::int64_t> found = {pid};
    for (std::size_t i = 0; i < found.size(); ++i) {
        auto [it, end] = by_parent.equal_range(found[i]);
        for (; it != end && found.size() < limit; ++it) found.push_back(it->second);
    }
    return found;
}

double ticks_per_second() noexcept {
    static const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    return ticks;
}

double cpu_percent(const ProcessSample& before, const ProcessSample& after,
                   double seconds) noexcept {
    if (before.start_ticks != after.start_ticks || after.cpu_ticks < before.cpu_ticks ||
        seconds <= 0)
        return 0;
    const auto used = static_cast<double>(after.cpu_ticks - before.cpu_ticks);
    return 100.0 * used / ticks_per_second() / seconds;
}

} // namespace keepwell
