#include "supervisor/keeper/spawn_body.h"

#include "supervisor/keeper/wire.h"
#include "supervisor/logs/log_names.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace keepwell {

namespace {

void append(std::string& out, const std::string& text) {
    out += text;
    out += '\0';
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

void put_limits(wire::Body& b, const LimitSpec& limits) {
    const std::optional<std::uint64_t> values[] = {limits.nofile, limits.core, limits.nproc,
                                                   limits.stack,  limits.as,   limits.fsize,
                                                   limits.memlock};
    for (std::uint32_t i = 0; i < wire::LimitCount; ++i) {
        if (!values[i]) continue;
        b.limit_mask |= 1U << i;
        b.limits[i] = *values[i];
    }
}

UniqueFd seal(const std::string& bytes, int& error) {
    UniqueFd fd(::memfd_create("keepwell-spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const auto size = static_cast<ssize_t>(bytes.size());
    if (!fd || ::write(fd.get(), bytes.data(), bytes.size()) != size ||
        ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) !=
            0) {
        error = errno != 0 ? errno : EIO;
        return UniqueFd();
    }
    return fd;
}

wire::OutputMode mode_of(LogMode mode) {
    switch (mode) {
    case LogMode::Pipe: return wire::OutputMode::Pipe;
    case LogMode::File: return wire::OutputMode::File;
    case LogMode::None: return wire::OutputMode::None;
    }
    return wire::OutputMode::Pipe;
}

} // namespace

OutputWish output_of(const LogSpec& log, const std::string& key, const std::string& log_dir) {
    OutputWish wish;
    wish.mode = log.mode;
    wish.separate_errors = log.separate_stderr && log.mode != LogMode::None;
    if (log.mode == LogMode::File) {
        wish.path = log_path(log_dir, key);
        wish.errors_path = log_path(log_dir, errors_key(key));
    }
    return wish;
}

SpawnBody spawn_body(const ProcessSpec& spec, const std::string& unit, const std::string& task,
                     const OutputWish& output, const NotifyWish& notify) {
    SpawnBody out;
    wire::Body b;
    std::string text;
    append(text, (task.empty() ? unit : task).substr(0, wire::kMarkSize - 1));
    append(text, spec.directory.empty() ? "/" : spec.directory);
    if (output.mode == LogMode::File) {
        append(text, output.path);
        append(text, output.errors_path);
    }
    bool bad = spec.command.empty() || has_nul(unit) || has_nul(spec.directory);
    for (const std::string& a : spec.command) {
        bad = bad || has_nul(a);
        append(text, a);
    }
    for (const std::string& e : spec.environment) {
        if (e.starts_with("KEEPWELL_UNIT=") || e.starts_with("KEEPWELL_TASK=") ||
            e.starts_with("KEEPWELL_FLEET="))
            continue;
        if (notify.socket && (e.starts_with("NOTIFY_SOCKET=") || e.starts_with("WATCHDOG_")))
            continue;
        bad = bad || has_nul(e);
        append(text, e);
        ++b.envc;
    }
    append(text, "KEEPWELL_UNIT=" + unit.substr(0, wire::kMarkSize - 1));
    ++b.envc;
    if (!task.empty()) {
        append(text, "KEEPWELL_TASK=" + task);
        ++b.envc;
    }
    if (notify.within) {
        const auto us = std::chrono::duration_cast<std::chrono::microseconds>(*notify.within);
        append(text, "WATCHDOG_USEC=" + std::to_string(us.count()));
        ++b.envc;
    }
    b.notify = notify.socket ? 1 : 0; // the keeper adds NOTIFY_SOCKET
    b.argc = static_cast<std::uint32_t>(spec.command.size());
    b.umask = spec.umask;
    b.nice = spec.nice;
    b.oom_score_adj = spec.oom_score_adj;
    b.output = mode_of(output.mode);
    b.separate_errors = output.separate_errors ? 1 : 0;
    if (spec.user) {
        b.has_user = 1;
        b.uid = spec.user->uid;
        b.gid = spec.user->gid;
        b.groups = static_cast<std::uint32_t>(spec.user->groups.size());
    }
    put_limits(b, spec.limits);
    if (task.empty()) {
        b.memory_max = spec.limits.memory.value_or(0);
        b.cpu_percent = spec.limits.cpu.value_or(0);
        b.pids_max = spec.limits.pids.value_or(0);
    }
    if (bad) {
        out.error = EINVAL;
        return out;
    }
    out.bytes.assign(reinterpret_cast<const char*>(&b), sizeof b);
    if (spec.user)
        out.bytes.append(reinterpret_cast<const char*>(spec.user->groups.data()),
                         spec.user->groups.size() * sizeof(std::uint32_t));
    out.bytes += text;
    if (out.bytes.size() > wire::kMaxBody) {
        out.error = E2BIG;
        return out;
    }
    out.size = static_cast<std::uint32_t>(out.bytes.size());
    if (out.size > wire::kInlineBody) {
        out.memfd = seal(out.bytes, out.error);
        out.bytes.clear();
    }
    return out;
}

} // namespace keepwell
