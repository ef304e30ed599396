#include "watchers/process_table.h"

#include "watchers/dir.h"
#include "watchers/proc_file.h"
#include "watchers/procfs.h"

#include <dirent.h>
#include <fnmatch.h>
#include <strings.h>

#include <algorithm>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

constexpr Duration kFresh = 1s;
constexpr std::size_t kMaxCommandLine = 4096;
constexpr std::int64_t kKernelThreads = 2; // kthreadd, the parent of all of them

bool is_keepwell(const std::string& name) noexcept {
    return name == "keepwell" || name == "keepwell-keeper";
}

bool contains_any_case(const std::string& text, const std::string& part) noexcept {
    const auto same = [](char a, char b) {
        const auto lower = [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        };
        return lower(a) == lower(b);
    };
    return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

std::optional<ProcessEntry> read_entry(const std::string& folder) {
    const auto text = read_proc_file(folder + "/stat");
    const auto stat = text ? parse_stat(*text) : std::nullopt;
    if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
    if (stat->pid == kKernelThreads || stat->parent == kKernelThreads || is_keepwell(stat->name))
        return std::nullopt;
    ProcessEntry entry;
    entry.pid = stat->pid;
    entry.name = stat->name;
    entry.command_line = read_proc_file(folder + "/cmdline", kMaxCommandLine).value_or("");
    const std::string first = entry.command_line.substr(0, entry.command_line.find('\0'));
    entry.program = first.substr(first.rfind('/') + 1);
    std::ranges::replace(entry.command_line, '\0', ' ');
    while (entry.command_line.ends_with(' ')) entry.command_line.pop_back();
    if (entry.command_line.empty()) entry.command_line = entry.name;
    return entry;
}

} // namespace

bool matches(const ProcessEntry& p, const std::string& pattern) {
    if (pattern.find_first_of("*?") == std::string::npos)
        return contains_any_case(p.command_line, pattern) || contains_any_case(p.name, pattern);
    const auto glob = [&](const std::string& text) {
        return fnmatch(pattern.c_str(), text.c_str(), FNM_CASEFOLD | FNM_NOESCAPE) == 0;
    };
    return glob(p.name) || glob(p.program) || glob(p.command_line);
}

ProcessTable::ProcessTable(std::string proc) : proc_(std::move(proc)) {}

ProcessTable::Entries ProcessTable::entries(Instant now) {
    const std::lock_guard lock(mutex_);
    if (last_ && read_at_ && now - *read_at_ < kFresh && now >= *read_at_) return last_;
    auto fresh = std::make_shared<std::vector<ProcessEntry>>();
    if (const Dir dir{opendir(proc_.c_str())}) {
        while (const dirent* entry = readdir(dir.get())) {
            if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
            if (auto found = read_entry(proc_ + '/' + entry->d_name))
                fresh->push_back(std::move(*found));
        }
    }
    ++scans_;
    read_at_ = now;
    last_ = std::move(fresh);
    return last_;
}

std::uint64_t ProcessTable::scans() const {
    const std::lock_guard lock(mutex_);
    return scans_;
}

} // namespace keepwell
