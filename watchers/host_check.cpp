#include "watchers/host_check.h"

#include "units/reason.h"
#include "watchers/host_sampler.h"
#include "watchers/proc_file.h"
#include "watchers/text.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <system_error>
#include <vector>

namespace keepwell {

namespace {

struct Figure {
    std::string what;  // "disk /var", also its name in HostMemory
    std::string shown; // "disk /var 93 % > 90 %", or "disk /var 40 %" when it is fine
    bool over = false;
};

struct Look {
    std::vector<Figure> figures;
    std::vector<std::string> unknown; // what could not be looked at, for people
};

std::string number(double value) {
    const auto hundredths = std::llround(value * 100);
    std::string text = std::to_string(hundredths / 100);
    if (hundredths % 100 == 0) return text;
    const std::string rest = std::to_string(100 + hundredths % 100).substr(1);
    return text + '.' + (rest[1] == '0' ? rest.substr(0, 1) : rest);
}

void judge(Look& look, const std::string& what, double value, double limit, const char* unit) {
    Figure f{what, what + ' ' + number(value) + unit, value > limit};
    if (f.over) f.shown += " > " + number(limit) + unit;
    look.figures.push_back(std::move(f));
}

double share(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

std::optional<struct statvfs> ask(Look& look, const std::string& what, const std::string& path) {
    struct statvfs fs {};
    if (statvfs(path.c_str(), &fs) == 0) return fs;
    look.unknown.push_back("cannot look at " + what + ": " +
                           std::generic_category().message(errno));
    return std::nullopt;
}

// As df counts: of what users other than root may have.
void look_at_disk(Look& look, const DiskLimit& limit) {
    const std::string what = "disk " + clean_text(limit.path, 100);
    const auto fs = ask(look, what, limit.path);
    if (!fs) return;
    const auto used = static_cast<double>(fs->f_blocks - fs->f_bfree);
    const auto available = static_cast<double>(fs->f_bavail);
    if (limit.max) judge(look, what, share(used, used + available), *limit.max, " %");
    if (!limit.free) return;
    const std::uint64_t left = std::uint64_t{fs->f_bavail} * fs->f_frsize;
    Figure f{what + " free", what + " has " + human_size(left) + " free", left < *limit.free};
    if (f.over) f.shown += " < " + human_size(*limit.free);
    look.figures.push_back(std::move(f));
}

void look_at_inodes(Look& look, const DiskLimit& limit) {
    const std::string what = "inodes " + clean_text(limit.path, 100);
    const auto fs = ask(look, what, limit.path);
    if (!fs || !limit.max) return;
    // Some file systems make inodes as they need them and count none.
    const auto used = static_cast<double>(fs->f_files - fs->f_ffree);
    judge(look, what, share(used, static_cast<double>(fs->f_files)), *limit.max, " %");
}

std::optional<double> meminfo(const std::string& text, std::string_view key) {
    const auto at = text.find("\n" + std::string(key) + ":");
    std::string_view rest = text;
    if (at != std::string::npos)
        rest.remove_prefix(at + key.size() + 2);
    else if (rest.starts_with(std::string(key) + ":"))
        rest.remove_prefix(key.size() + 1);
    else
        return std::nullopt;
    return to_number<double>(take_word(rest));
}

void look_at_memory(Look& look, const HostCheckSpec& spec, const std::string& proc) {
    if (!spec.memory && !spec.swap) return;
    const auto text = read_proc_file(proc + "/meminfo");
    const auto used = [&](const char* what, std::string_view all, std::string_view left,
                          std::optional<double> limit) {
        if (!limit) return;
        const auto total = text ? meminfo(*text, all) : std::nullopt;
        const auto free = text ? meminfo(*text, left) : std::nullopt;
        if (total && free)
            judge(look, what, share(*total - *free, *total), *limit, " %");
        else
            look.unknown.push_back(std::string(what) + " is not available here");
    };
    used("memory", "MemTotal", "MemAvailable", spec.memory);
    used("swap", "SwapTotal", "SwapFree", spec.swap);
}

void look_at_load(Look& look, const HostCheckSpec& spec, const std::string& proc) {
    if (!spec.load) return;
    const auto text = read_proc_file(proc + "/loadavg");
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    const auto load = to_number<double>(take_word(rest));
    const auto stat = read_proc_file(proc + "/stat", 1U << 20);
    const std::uint32_t cores = stat ? parse_cpu(*stat).cores : 0;
    if (load && cores > 0)
        judge(look, "load", *load / cores, *spec.load, " per core");
    else
        look.unknown.emplace_back("load is not available here");
}

void look_at_pressure(Look& look, const char* name, std::optional<double> limit,
                      const std::string& proc) {
    if (!limit) return;
    const auto text = read_proc_file(proc + "/pressure/" + name);
    const auto at = text ? text->find("some avg10=") : std::string::npos;
    std::optional<double> share_of_time;
    if (at != std::string::npos) {
        std::string_view rest = std::string_view(*text).substr(at + std::strlen("some avg10="));
        share_of_time = to_number<double>(take_word(rest));
    }
    const std::string what = std::string(name) + " pressure";
    if (share_of_time)
        judge(look, what, *share_of_time, *limit, " %");
    else
        look.unknown.push_back(what + " is not available here (the kernel has no PSI; remove it)");
}

void join(std::string& list, const std::string& text) { list += (list.empty() ? "" : ", ") + text; }

} // namespace

Observation look_at_host(const HostCheckSpec& spec, HostMemory& memory, Instant now,
                         const std::string& proc) {
    Look look;
    for (const DiskLimit& limit : spec.disk) look_at_disk(look, limit);
    for (const DiskLimit& limit : spec.inodes) look_at_inodes(look, limit);
    look_at_memory(look, spec, proc);
    look_at_load(look, spec, proc);
    look_at_pressure(look, "cpu", spec.cpu_pressure, proc);
    look_at_pressure(look, "memory", spec.memory_pressure, proc);
    look_at_pressure(look, "io", spec.io_pressure, proc);

    std::map<std::string, Instant> over;
    std::string bad, fine;
    for (const Figure& f : look.figures) {
        if (!f.over) {
            join(fine, f.shown);
            continue;
        }
        const auto before = memory.over_since.find(f.what);
        const Instant since = before == memory.over_since.end() ? now : before->second;
        over.emplace(f.what, since);
        std::string text = f.shown;
        if (spec.hold > Duration{}) text += " for " + short_duration(now - since);
        join(now - since >= spec.hold ? bad : fine, text);
    }
    memory.over_since = std::move(over);
    Observation seen;
    seen.output = fine;
    if (!look.unknown.empty()) {
        seen.outcome = CheckOutcome::Warn;
        seen.output.clear();
        for (const std::string& text : look.unknown) join(seen.output, text);
    }
    if (!bad.empty()) {
        seen.outcome = CheckOutcome::Fail;
        seen.output = bad;
    }
    return seen;
}

} // namespace keepwell
