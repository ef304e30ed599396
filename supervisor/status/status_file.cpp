#include "supervisor/status/status_file.h"

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace keepwell::status_detail {

namespace {

class Fd {
  public:
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) ::close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    explicit operator bool() const { return fd_ >= 0; }
    int get() const { return fd_; }
    int close() { return ::close(std::exchange(fd_, -1)); }

  private:
    int fd_;
};

struct Place {
    std::string folder, name;
};

Place split(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

std::string temporary_prefix(const std::string& name) { return "." + name + "."; }
constexpr std::string_view kTemporarySuffix = ".tmp";

std::string temporary_name(const std::string& name) {
    static std::atomic<unsigned> count{0};
    return fmt::format("{}{}.{}{}", temporary_prefix(name), getpid(), count++, kTemporarySuffix);
}

Error failure(const std::string& what, int error) {
    return Error{fmt::format("cannot write {}: {}", what, std::strerror(error)), error};
}

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0) errno = EIO;
            return false;
        }
        content.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

int open_folder(const std::string& folder) {
    return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int open_or_make_folder(const std::string& folder) {
    const int fd = open_folder(folder);
    if (fd >= 0 || errno != ENOENT) return fd;
    if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) return -1;
    ::chmod(folder.c_str(), 0755); // whatever the umask is
    return open_folder(folder);
}

// The new file under its temporary name, complete and on the disk; errno tells what failed.
bool write_temporary(int folder, const char* name, std::string_view content) {
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    Fd file(::openat(folder, name, kFlags, 0644));
    if (!file) return false;
    return ::fchmod(file.get(), 0644) == 0 && write_all(file.get(), content) &&
           ::fsync(file.get()) == 0 && file.close() == 0;
}

} // namespace

Status replace_file(const std::string& path, std::string_view content) {
    const Place place = split(path);
    const Fd folder(open_or_make_folder(place.folder));
    if (!folder) return failure(path, errno);
    const std::string temporary = temporary_name(place.name);
    if (!write_temporary(folder.get(), temporary.c_str(), content) ||
        ::renameat(folder.get(), temporary.c_str(), folder.get(), place.name.c_str()) < 0) {
        const int error = errno;
        if (error != EEXIST) ::unlinkat(folder.get(), temporary.c_str(), 0);
        return failure(path, error);
    }
    // Some file systems cannot sync a folder; the document is in place all the same.
    if (::fsync(folder.get()) < 0 && errno != EINVAL && errno != EROFS) return failure(path, errno);
    return Done{};
}

void remove_leftovers(const std::string& path) noexcept {
    try {
        const Place place = split(path);
        const std::string prefix = temporary_prefix(place.name);
        const int fd = open_folder(place.folder);
        if (fd < 0) return;
        const std::unique_ptr<DIR, int (*)(DIR*)> folder(::fdopendir(fd), &::closedir);
        if (!folder) {
            ::close(fd);
            return;
        }
        while (const dirent* entry = ::readdir(folder.get())) {
            const std::string_view name(entry->d_name);
            if (name.starts_with(prefix) && name.ends_with(kTemporarySuffix))
                ::unlinkat(fd, entry->d_name, 0);
        }
    } catch (const std::bad_alloc&) {
        return; // only litter stays
    }
}

std::string advice_for(int error, const std::string& path) {
    const std::string folder = split(path).folder;
    switch (error) {
    case ENOSPC:
    case EDQUOT: return "free some space there; it is written again as soon as it can be";
    case ENOENT: return fmt::format("make the folder {} or set supervisor.status_file", folder);
    case ENOTDIR: return fmt::format("{} must be a folder; set supervisor.status_file", folder);
    case EACCES:
    case EPERM:
        return fmt::format("let keepwell write in {} or set supervisor.status_file", folder);
    case EROFS: return "remount it writable or set supervisor.status_file";
    case EISDIR: return "a folder stands there; remove it or set supervisor.status_file";
    default: return "it is tried again";
    }
}

} // namespace keepwell::status_detail
