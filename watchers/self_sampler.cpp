#include "watchers/self_sampler.h"

#include "watchers/proc_file.h"
#include "watchers/procfs.h"

#include <sys/resource.h>
#include <unistd.h>

namespace keepwell {

double parse_boot_time(std::string_view proc_stat) noexcept {
    constexpr std::string_view kName = "btime ";
    auto at = proc_stat.find(kName);
    while (at != std::string_view::npos && at != 0 && proc_stat[at - 1] != '\n')
        at = proc_stat.find(kName, at + 1);
    if (at == std::string_view::npos) return 0;
    proc_stat.remove_prefix(at + kName.size());
    return static_cast<double>(to_number<std::uint64_t>(take_word(proc_stat)).value_or(0));
}

SelfFigures sample_self(const std::string& proc) {
    SelfFigures f;
    const Procfs procfs(proc);
    const auto s = procfs.stat(getpid());
    if (!s) return f;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    f.cpu_seconds = static_cast<double>(s->user_ticks + s->system_ticks) / ticks_per_second();
    f.resident_bytes = s->rss_pages * page;
    f.virtual_bytes = s->virtual_bytes;
    const double boot = parse_boot_time(read_proc_file(proc + "/stat", 1U << 20).value_or(""));
    if (boot > 0) f.start_time = boot + static_cast<double>(s->start_ticks) / ticks_per_second();
    f.open_fds = procfs.count_fds(getpid());
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        f.max_fds = limit.rlim_cur;
    return f;
}

} // namespace keepwell
