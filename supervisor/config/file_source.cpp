#include "supervisor/config/file_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fnmatch.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell::config {
namespace {

class OpenFile {
  public:
    explicit OpenFile(const std::string& path)
        : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    ~OpenFile() {
        if (fd_ >= 0) ::close(fd_);
    }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    int fd() const { return fd_; }

  private:
    int fd_;
};

std::string what_to_do(int code) {
    if (code == ENOENT) return " (create it, or correct the name)";
    if (code == EACCES) {
        return " (let user id " + std::to_string(::geteuid()) + " read it and enter its folders)";
    }
    if (code == EISDIR) return " (name a file in it)";
    return "";
}

Error cannot_read(const std::string& path, int code) {
    return {"cannot read " + path + ": " + std::strerror(code) + what_to_do(code), code};
}

Error too_large(const std::string& path, std::uint64_t limit) {
    return {"cannot read " + path + ": it is larger than " + std::to_string(limit >> 20) +
                " MiB (split it, or correct the name)",
            EFBIG};
}

struct GlobResult {
    glob_t found{};
    GlobResult() = default;
    ~GlobResult() { ::globfree(&found); }
    GlobResult(const GlobResult&) = delete;
    GlobResult& operator=(const GlobResult&) = delete;
};

} // namespace

Result<std::string> read_regular_file(const std::string& path, std::uint64_t limit) {
    const OpenFile file(path);
    if (file.fd() < 0) return cannot_read(path, errno);
    struct stat info {};
    if (::fstat(file.fd(), &info) != 0) return cannot_read(path, errno);
    if (S_ISDIR(info.st_mode)) return cannot_read(path, EISDIR);
    if (!S_ISREG(info.st_mode)) {
        return Error{"cannot read " + path + ": it is not a regular file (name a file)", EINVAL};
    }
    if (static_cast<std::uint64_t>(info.st_size) > limit) return too_large(path, limit);
    std::string text;
    char buffer[65536];
    while (true) {
        const ssize_t got = ::read(file.fd(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return cannot_read(path, errno);
        if (got == 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
        if (text.size() > limit) return too_large(path, limit);
    }
}

Result<std::string> DiskSource::read(const std::string& path) {
    return read_regular_file(path, kLargestConfigFile);
}

std::vector<std::string> DiskSource::match(const std::string& pattern) {
    GlobResult result;
    std::vector<std::string> paths;
    if (::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &result.found) == 0) {
        for (std::size_t i = 0; i < result.found.gl_pathc; ++i) {
            paths.emplace_back(result.found.gl_pathv[i]);
        }
    }
    std::ranges::sort(paths);
    return paths;
}

std::string DiskSource::identity(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return path;
    return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

std::string BundleSource::identity(const std::string& path) {
    return std::filesystem::path(path).lexically_normal().string();
}

Result<std::string> BundleSource::read(const std::string& path) {
    const auto it = std::ranges::find(files_, identity(path), &Files::value_type::first);
    if (it == files_.end()) return cannot_read(path, ENOENT);
    return it->second;
}

std::vector<std::string> BundleSource::match(const std::string& pattern) {
    const std::string normal = identity(pattern);
    std::vector<std::string> paths;
    for (const auto& [path, text] : files_) {
        if (::fnmatch(normal.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0) {
            paths.push_back(path);
        }
    }
    std::ranges::sort(paths);
    return paths;
}

} // namespace keepwell::config
