#include "supervisor/notify/notify_sockets.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <sys/socket.h>

namespace keepwell {

namespace {

constexpr int kTurns = 16;        // messages of one unit before the loop looks elsewhere
constexpr int kMostWaiting = 512; // more than a socket's queue holds
constexpr int kPidfd = 4;         // SCM_PIDFD of Linux 6.5, which older headers lack
constexpr std::size_t kMostFds = 253;
constexpr auto kComplainEvery = 1min;

void read_control(msghdr& m, NotifySender& sender, std::vector<UniqueFd>& attached) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_CREDENTIALS && c->cmsg_len >= CMSG_LEN(sizeof(ucred))) {
            ucred who{};
            std::memcpy(&who, CMSG_DATA(c), sizeof who);
            sender.pid = who.pid;
            sender.uid = who.uid;
        }
        if (c->cmsg_type != SCM_RIGHTS && c->cmsg_type != kPidfd) continue;
        for (std::size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (fd < 0) continue; // no pidfd could be had
            if (c->cmsg_type == kPidfd)
                sender.pidfd.reset(fd);
            else
                attached.emplace_back(fd);
        }
    }
}

} // namespace

NotifySockets::NotifySockets(uv::Loop& loop, const Clock& clock, Hooks hooks)
    : loop_(loop), clock_(clock), hooks_(std::move(hooks)), buffer_(kMaxNotifyMessage) {}

void NotifySockets::take(const std::string& key, Generation generation, int socket) {
    auto entry = std::make_shared<Entry>();
    entry->key = key;
    entry->generation = generation;
    entry->socket.reset(socket);
    entry->poll = std::make_unique<uv::Poll>(
        loop_, socket, [this, weak = std::weak_ptr<Entry>(entry)](int status, int) {
            if (const auto alive = weak.lock(); alive && status >= 0) read(alive, kTurns);
        });
    entry->poll->start(UV_READABLE);
    entries_[key] = std::move(entry);
}

void NotifySockets::drain(const std::string& key) {
    const auto it = entries_.find(key);
    if (it == entries_.end()) return;
    const std::shared_ptr<Entry> entry = it->second;
    read(entry, kMostWaiting);
}

void NotifySockets::read(const std::shared_ptr<Entry>& entry, int limit) {
    for (int i = 0; i < limit; ++i) {
        Datagram datagram;
        if (!receive(*entry, datagram)) return;
        handle(*entry, datagram);
        const auto it = entries_.find(entry->key);
        if (it == entries_.end() || it->second != entry) return; // dropped by a hook
    }
}

bool NotifySockets::receive(Entry& entry, Datagram& out) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostFds) + CMSG_SPACE(sizeof(ucred)) +
                                  CMSG_SPACE(sizeof(int))];
    iovec part{buffer_.data(), buffer_.size()};
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    ssize_t n = 0;
    do n = ::recvmsg(entry.socket.get(), &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0) return false;
    read_control(m, out.sender, out.attached);
    out.text = std::string_view(buffer_.data(), static_cast<std::size_t>(n));
    out.cut = (m.msg_flags & MSG_TRUNC) != 0;
    return true;
}

void NotifySockets::handle(Entry& entry, const Datagram& datagram) {
    if (datagram.cut) return refuse(entry, "longer than 64 KiB");
    if (!hooks_.belongs(entry.key, datagram.sender))
        return refuse(entry, fmt::format("pid {} of uid {} is no process of this unit",
                                         datagram.sender.pid, datagram.sender.uid));
    const auto message = parse_notify(datagram.text);
    if (!message) return refuse(entry, "no text");
    hooks_.on_message(entry.key, entry.generation, *message);
}

void NotifySockets::refuse(Entry& entry, const std::string& why) {
    ++entry.refused;
    const Instant now = clock_.now();
    if (entry.complained_at && now - *entry.complained_at < kComplainEvery) return;
    entry.complained_at = now;
    hooks_.on_refused(entry.key,
                      entry.refused == 1 ? why : fmt::format("{} ({} so far)", why, entry.refused));
}

} // namespace keepwell
