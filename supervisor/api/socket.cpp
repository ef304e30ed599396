#include "supervisor/api/socket.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <grp.h>
#include <optional>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace keepwell::api {

namespace {

Error failure(const std::string& path, const std::string& what, const char* advice) {
    return Error{fmt::format("cannot open the control socket {}: {}; {}", path, what, advice),
                 errno};
}

Error failure(const std::string& path, const char* advice) {
    return failure(path, std::strerror(errno), advice);
}

class Umask { // the file is made with its final rights at most
  public:
    explicit Umask(mode_t mask) : before_(::umask(mask)) {}
    ~Umask() { ::umask(before_); }
    Umask(const Umask&) = delete;
    Umask& operator=(const Umask&) = delete;

  private:
    mode_t before_;
};

std::optional<gid_t> group_id(const std::string& name) {
    std::vector<char> buffer(16'384);
    group entry{};
    group* found = nullptr;
    getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr) return std::nullopt;
    return found->gr_gid;
}

// Does anybody listen there? The one who does names itself by its pid.
struct Owner {
    bool alive = false;
    pid_t pid = 0;
};
Owner owner_of(const sockaddr_un& address) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return {true, 0};
    Owner owner;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        ucred peer{};
        socklen_t size = sizeof peer;
        ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
        owner = {true, peer.pid};
    } else {
        owner.alive = errno != ECONNREFUSED && errno != ENOENT;
    }
    ::close(fd);
    return owner;
}

// Makes the place free, or says why it is not.
Status clear_place(const std::string& path, const sockaddr_un& address) {
    struct stat info {};
    if (::lstat(path.c_str(), &info) < 0) return Done{};
    if (!S_ISSOCK(info.st_mode)) {
        errno = EEXIST;
        return failure(path, "something that is no socket stands there", "move it away");
    }
    const Owner owner = owner_of(address);
    if (owner.alive) {
        errno = EADDRINUSE;
        const std::string who = owner.pid > 0 ? fmt::format(" (pid {})", owner.pid) : "";
        return failure(path, fmt::format("another keepwell answers there{}", who),
                       "stop it with `keepwell shutdown` or set another supervisor.runtime_dir");
    }
    if (::unlink(path.c_str()) < 0)
        return failure(path, "remove the stale socket or set supervisor.runtime_dir");
    return Done{};
}

} // namespace

Result<ListeningSocket> ListeningSocket::open(const std::string& path, const std::string& group) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return failure(path, "set a shorter supervisor.runtime_dir (at most 107 characters)");
    }
    std::memcpy(address.sun_path, path.c_str(), path.size());
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failure(path, "see `ulimit -n`");
    ListeningSocket made(fd, "");
    if (Status status = clear_place(path, address); !status) return status.error();
    {
        const Umask mask(0177);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
            return failure(path, "check that its folder exists and keepwell may write there");
    }
    made.path_ = path;
    struct stat info {};
    if (::lstat(path.c_str(), &info) < 0) return failure(path, "try again");
    made.device_ = info.st_dev;
    made.inode_ = info.st_ino;
    // Without the right to give it to the group it stays its owner's alone.
    if (const auto gid = group_id(group))
        if (::lchown(path.c_str(), static_cast<uid_t>(-1), *gid) == 0) ::chmod(path.c_str(), 0660);
    if (::listen(fd, 512) < 0) return failure(path, "try again");
    return made;
}

ListeningSocket::ListeningSocket(ListeningSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::exchange(other.path_, {})),
      device_(other.device_),
      inode_(other.inode_) {}

ListeningSocket::~ListeningSocket() {
    struct stat info {};
    if (!path_.empty() && ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ &&
        info.st_ino == inode_)
        ::unlink(path_.c_str());
    if (fd_ >= 0) ::close(fd_);
}

} // namespace keepwell::api
