#include "watchers/host_sampler.h"

#include "watchers/proc_file.h"

#include <sys/statvfs.h>

namespace keepwell {

namespace {

std::string_view take_line(std::string_view& text) noexcept {
    const auto end = text.find('\n');
    const auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return line;
}

std::uint64_t take_count(std::string_view& line) noexcept {
    return to_number<std::uint64_t>(take_word(line)).value_or(0);
}

DiskFigures read_disk(const std::string& path) {
    DiskFigures d{path, 0, 0, 0};
    struct statvfs fs {};
    if (statvfs(path.c_str(), &fs) != 0) return d;
    d.total = std::uint64_t{fs.f_blocks} * fs.f_frsize;
    d.free = std::uint64_t{fs.f_bavail} * fs.f_frsize; // what users other than root can have
    d.used = d.total - std::uint64_t{fs.f_bfree} * fs.f_frsize;
    return d;
}

} // namespace

CpuTimes parse_cpu(std::string_view proc_stat) noexcept {
    CpuTimes times;
    while (!proc_stat.empty()) {
        std::string_view line = take_line(proc_stat);
        const auto name = take_word(line);
        if (!name.starts_with("cpu")) continue;
        if (name != "cpu") {
            ++times.cores;
            continue;
        }
        // user nice system idle iowait irq softirq steal; guest times are part of user and nice.
        for (int field = 0; field < 8; ++field) {
            const auto ticks = take_count(line);
            times.total += ticks;
            if (field != 3 && field != 4) times.busy += ticks;
        }
    }
    return times;
}

void parse_load(std::string_view loadavg, HostMetrics& to) noexcept {
    for (double& value : to.load) value = to_number<double>(take_word(loadavg)).value_or(0);
}

void parse_memory(std::string_view meminfo, HostMetrics& to) noexcept {
    while (!meminfo.empty()) {
        std::string_view line = take_line(meminfo);
        const auto name = take_word(line);
        if (name == "MemTotal:") to.memory_total = take_count(line) * 1024;
        if (name == "MemAvailable:") to.memory_available = take_count(line) * 1024;
    }
}

void parse_network(std::string_view net_dev, HostMetrics& to) noexcept {
    to.net_received = to.net_packets_received = to.net_sent = to.net_packets_sent = 0;
    while (!net_dev.empty()) {
        std::string_view line = take_line(net_dev);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) continue; // the two lines of headings
        std::string_view name = line.substr(0, colon);
        line.remove_prefix(colon + 1);
        if (take_word(name) == "lo") continue;
        to.net_received += take_count(line);
        to.net_packets_received += take_count(line);
        for (int skip = 0; skip < 6; ++skip) take_word(line);
        to.net_sent += take_count(line);
        to.net_packets_sent += take_count(line);
    }
}

HostSampler::HostSampler(std::string root) : root_(std::move(root)) {}

HostMetrics HostSampler::sample(const std::vector<std::string>& disks) {
    const auto text = [&](const char* name, std::size_t limit = 64U << 10) {
        return read_proc_file(root_ + name, limit).value_or("");
    };
    HostMetrics m;
    const CpuTimes now = parse_cpu(text("/stat", 1U << 20));
    // Steal and iowait may run backwards by a few ticks.
    if (now.total > last_.total && now.busy >= last_.busy)
        m.cpu_percent = 100.0 * static_cast<double>(now.busy - last_.busy) /
                        static_cast<double>(now.total - last_.total);
    m.cpu_count = now.cores;
    last_ = now;
    parse_load(text("/loadavg"), m);
    parse_memory(text("/meminfo"), m);
    parse_network(text("/net/dev", 1U << 20), m);
    for (const std::string& path : disks) m.disks.push_back(read_disk(path));
    return m;
}

} // namespace keepwell
