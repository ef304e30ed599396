#include "supervisor/keeper/link.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr int kTurns = 64; // messages taken before the loop looks elsewhere

void collect(msghdr& m, std::vector<UniqueFd>& fds) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            fds.emplace_back(fd);
        }
    }
}

bool well_formed(std::span<const std::byte> data) {
    wire::Header h;
    if (data.size() < sizeof h) return false;
    std::memcpy(&h, data.data(), sizeof h);
    return h.magic == wire::kMagic && h.version == wire::kVersion && h.size == data.size();
}

} // namespace

void UniqueFd::reset(int fd) noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

Link::Link(uv::Loop& loop, int fd, std::function<void(Received&)> on_message,
           std::function<void()> on_lost)
    : fd_(fd),
      on_message_(std::move(on_message)),
      on_lost_(std::move(on_lost)),
      buffer_(wire::kMaxMessage),
      poll_(loop, fd, [this](int status, int events) { on_event(status < 0 ? 0 : events); }),
      lost_timer_(loop, [this] { on_lost_(); }) {
    const int size = 1 << 20; // a burst of requests seldom has to wait in memory
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

Link::~Link() {
    *alive_ = false;
    poll_.stop();
}

void Link::start() { poll_.start(UV_READABLE); }

bool Link::send_now(const Outgoing& out) {
    iovec part{const_cast<char*>(out.data.data()), out.data.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    if (out.fd) {
        const int fd = out.fd.get();
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        cmsghdr* c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    if (::sendmsg(fd_.get(), &m, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    // What passes is tried again; a dead peer is met by reading.
    return errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ENOMEM &&
           errno != ETOOMANYREFS;
}

void Link::send(std::string message, UniqueFd fd) {
    if (lost_) return;
    Outgoing out{std::move(message), std::move(fd)};
    if (queue_.empty() && send_now(out)) return;
    queue_.push_back(std::move(out));
    poll_.start(UV_READABLE | UV_WRITABLE);
}

void Link::on_event(int events) {
    const std::shared_ptr<bool> alive = alive_;
    if ((events & UV_WRITABLE) != 0) {
        while (!queue_.empty() && send_now(queue_.front())) queue_.pop_front();
        if (queue_.empty()) poll_.start(UV_READABLE);
    }
    if (events != 0 && (events & UV_READABLE) == 0) return;
    for (int i = 0; i < kTurns; ++i) {
        const bool more = receive();
        if (!*alive || !more) return;
    }
}

bool Link::receive() {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)];
    iovec part{buffer_.data(), buffer_.size()};
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(fd_.get(), &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    Received in;
    if (n > 0) {
        collect(m, in.fds);
        in.data = std::span(buffer_.data(), static_cast<std::size_t>(n));
    }
    if (n <= 0 || (m.msg_flags & MSG_TRUNC) != 0 || !well_formed(in.data)) {
        lose();
        return false;
    }
    on_message_(in);
    return true;
}

void Link::lose() {
    lost_ = true;
    queue_.clear();
    poll_.stop();
    lost_timer_.start(0); // never from inside somebody's call
}

} // namespace keepwell
