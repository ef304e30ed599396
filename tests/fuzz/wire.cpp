// Messages to the keeper from a supervisor that has gone mad. The input is a row of {length u16,
// bytes}; the header is made right in most of them. The keeper may drop the link, but reads and
// writes nothing beyond its records, and its table agrees with itself afterwards.
#include "supervisor/keeper/keeper.h"
#include "tests/fuzz/harmless.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

using namespace keepwell;
using namespace keepwell::keeper;

namespace {

// One keeper for the whole run, as in life; its table is emptied between inputs.
Keeper& the_keeper() {
    static Keeper k;
    static const std::string path = "/dev/shm/keepwell-fuzz-wire-" + std::to_string(getpid());
    if (k.runtime) return k;
    fuzz::become_harmless();
    if (mkdir(path.c_str(), 0700) != 0) abort();
    k.runtime_dir = path.c_str();
    k.runtime.reset(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    k.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
    k.inotify.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    k.can.cgroup = false;
    if (!open_state(k)) abort();
    unlink((path + "/keeper.state").c_str());
    rmdir(path.c_str());
    return k;
}

void empty(Keeper& k) {
    for (std::uint32_t i = 0; i < k.record_count; ++i)
        if (k.records[i] != nullptr) free_record(k, *k.records[i]);
    if (k.told != nullptr || k.timed != nullptr) k.told = k.told_last = k.timed = nullptr;
    k.supervisor = Supervisor{};
    k.stopping = k.stopping_alone = false;
}

void check_table(const Keeper& k) {
    for (std::uint32_t i = 0; i < k.record_count; ++i) {
        const Record* r = k.records[i];
        if (r == nullptr) continue;
        if (r->index != i || r->key.size() >= keepwell::wire::kKeySize) __builtin_trap();
        if (std::strchr(r->key.text(), '/') != nullptr || r->key.text()[0] == '.') __builtin_trap();
        if (r->pid != 0) __builtin_trap(); // there can be no process
    }
}

int sealed(const void* data, std::size_t size) {
    const int fd = memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (write(fd, data, size) < 0) abort();
    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
    return fd;
}

void send(int link, std::string message, bool body_in_memfd) {
    int fd = -1;
    if (body_in_memfd && message.size() > sizeof(wire::SpawnMessage)) {
        const std::size_t body = message.size() - sizeof(wire::SpawnMessage);
        fd = sealed(message.data() + sizeof(wire::SpawnMessage), body);
        wire::SpawnMessage m;
        std::memcpy(&m, message.data(), sizeof m);
        m.header.size = sizeof m;
        m.body_size = static_cast<std::uint32_t>(body);
        message.assign(reinterpret_cast<const char*>(&m), sizeof m);
    }
    iovec part{message.data(), message.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    if (fd >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        cmsghdr* c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    (void)sendmsg(link, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (fd >= 0) close(fd);
}

// Wild bytes get a header that passes the first gate; its type, flags, generation and key stay
// wild.
std::string with_header(std::string message) {
    message.resize(std::max(message.size(), sizeof(wire::Header)));
    wire::Header h;
    std::memcpy(&h, message.data(), sizeof h);
    h.magic = wire::kMagic;
    h.version = wire::kVersion;
    h.size = static_cast<std::uint32_t>(message.size());
    h.type = static_cast<wire::Type>(1 + static_cast<unsigned>(h.type) % 9);
    message.replace(0, sizeof h, reinterpret_cast<const char*>(&h), sizeof h);
    if (message.size() >= sizeof(wire::SpawnMessage)) {
        wire::SpawnMessage m;
        std::memcpy(&m, message.data(), sizeof m);
        m.body_size = static_cast<std::uint32_t>(message.size() - sizeof m);
        if (h.type == wire::Type::Spawn || h.type == wire::Type::Task)
            message.replace(0, sizeof m, reinterpret_cast<const char*>(&m), sizeof m);
    }
    return message;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    Keeper& k = the_keeper();
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) abort();
    const Fd theirs(ends[1]);
    k.supervisor.link.reset(ends[0]);
    k.supervisor.serial = k.next_serial++;
    watch(k, ends[0], EPOLLIN, Source::Link, 0, k.supervisor.serial);
    wire::Header hello;
    hello.type = wire::Type::Hello;
    hello.size = sizeof hello;
    send(theirs.get(), std::string(reinterpret_cast<const char*>(&hello), sizeof hello), false);
    while (size >= 2) {
        const unsigned how = data[1] >> 6;
        const std::size_t length =
            std::min<std::size_t>(data[0] | (data[1] & 0x3fU) << 8, size - 2);
        std::string message(reinterpret_cast<const char*>(data) + 2, length);
        data += 2 + length;
        size -= 2 + length;
        if (how != 3) message = with_header(std::move(message));
        send(theirs.get(), std::move(message), how == 2);
        if (k.supervisor.link) on_link(k, EPOLLIN);
        check_table(k);
        for (std::uint32_t i = 0; i < k.record_count; ++i)
            if (k.records[i] != nullptr) check_deadline(k, *k.records[i], now_ns());
        flush(k);
        char answer[wire::kMaxMessage];
        while (recv(theirs.get(), answer, sizeof answer, MSG_DONTWAIT) > 0) {
        }
        if (!k.supervisor.link) break;
    }
    if (k.supervisor.link) drop_link(k);
    check_table(k);
    empty(k);
    return 0;
}
