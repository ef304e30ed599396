#include "supervisor/config/users.h"

#include "supervisor/config/values.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <grp.h>
#include <optional>
#include <pwd.h>
#include <unistd.h>

namespace keepwell::config {
namespace {

constexpr std::size_t kLargestRecord = 1U << 20;

// getpwnam_r and its relatives with a buffer that grows. `call` returns the errno.
template <class Record, class Call, class Take>
int look_up(Call call, Take take) {
    std::vector<char> buffer(1024);
    while (true) {
        Record record{};
        Record* result = nullptr;
        const int error = call(&record, buffer.data(), buffer.size(), &result);
        if (error == ERANGE && buffer.size() < kLargestRecord) {
            buffer.resize(buffer.size() * 2);
            continue;
        }
        if (error == EINTR) continue;
        if (result != nullptr) take(*result);
        return error;
    }
}

std::optional<std::uint32_t> as_id(const std::string& text) {
    std::uint32_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && stop == text.data() + text.size();
    // The largest number means "no change" to the kernel.
    if (text.empty() || !whole || value == UINT32_MAX) return std::nullopt;
    return value;
}

struct FoundUser {
    UserSpec user;
    bool exists = false;
    int error = 0;
};

FoundUser find_user(const std::string& name) {
    FoundUser found;
    const auto take = [&](const passwd& record) {
        found.exists = true;
        found.user.name = record.pw_name;
        found.user.uid = record.pw_uid;
        found.user.gid = record.pw_gid;
        if (record.pw_dir != nullptr && *record.pw_dir != '\0') found.user.home = record.pw_dir;
    };
    found.error = look_up<passwd>(
        [&](passwd* record, char* buffer, std::size_t size, passwd** result) {
            return ::getpwnam_r(name.c_str(), record, buffer, size, result);
        },
        take);
    const auto id = as_id(name);
    if (found.exists || !id) return found;
    found.error = look_up<passwd>(
        [&](passwd* record, char* buffer, std::size_t size, passwd** result) {
            return ::getpwuid_r(*id, record, buffer, size, result);
        },
        take);
    if (!found.exists) {
        found.exists = true; // a number needs no entry
        found.user.name = name;
        found.user.uid = *id;
        found.user.gid = *id;
    }
    return found;
}

struct FoundGroup {
    std::uint32_t gid = 0;
    bool exists = false;
    int error = 0;
};

FoundGroup find_group(const std::string& name) {
    FoundGroup found;
    found.error = look_up<group>(
        [&](group* record, char* buffer, std::size_t size, group** result) {
            return ::getgrnam_r(name.c_str(), record, buffer, size, result);
        },
        [&](const group& record) {
            found.exists = true;
            found.gid = record.gr_gid;
        });
    if (const auto id = as_id(name); !found.exists && id) {
        found.exists = true;
        found.gid = *id;
    }
    return found;
}

std::vector<std::uint32_t> groups_of(const UserSpec& user) {
    int count = 32;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    while (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) < 0) {
        if (static_cast<std::size_t>(count) <= groups.size()) return {user.gid};
        groups.resize(static_cast<std::size_t>(count));
    }
    return {groups.begin(), groups.begin() + count};
}

Error unknown(const char* what, const std::string& name, int error) {
    // Some NSS modules report "not there" as an error.
    const bool absent = error == 0 || error == ENOENT || error == ESRCH || error == EBADF;
    if (absent) {
        return {"no " + std::string(what) + " named " + quote(name) +
                " on this machine (create it, or correct the name)"};
    }
    return {"cannot look up " + std::string(what) + " " + quote(name) + ": " +
                std::strerror(error) + " (try again, or give its number)",
            error};
}

Result<UserSpec> resolve(const std::string& spec) {
    const std::size_t colon = spec.find(':');
    const std::string name = spec.substr(0, colon);
    if (name.empty() || colon + 1 == spec.size()) {
        return Error{quote(spec) + " is not a user (like \"www-data\" or \"www-data:adm\")"};
    }
    FoundUser found = find_user(name);
    if (!found.exists) return unknown("user", name, found.error);
    if (colon != std::string::npos) {
        const FoundGroup group = find_group(spec.substr(colon + 1));
        if (!group.exists) return unknown("group", spec.substr(colon + 1), group.error);
        found.user.gid = group.gid;
    }
    found.user.groups = groups_of(found.user);
    return found.user;
}

} // namespace

Result<UserSpec> UserTable::find(const std::string& spec) {
    auto it = found_.find(spec);
    if (it == found_.end()) it = found_.emplace(spec, resolve(spec)).first;
    return it->second;
}

const UserSpec& UserTable::own() {
    if (!own_) {
        FoundUser found = find_user(std::to_string(::geteuid()));
        found.user.uid = ::geteuid();
        own_ = std::move(found.user);
    }
    return *own_;
}

} // namespace keepwell::config
