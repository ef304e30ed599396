// Stands in for the supervisor: hands the keeper's socket to the test and waits for its own end.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "version") == 0)
        return std::printf("keepwell " KEEPWELL_VERSION "\n") < 0 ? 1 : 0;
    if (argc < 4 || std::strcmp(argv[2], "--keeper-fd") != 0) return 2;
    const int keeper = std::atoi(argv[3]);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[1]);
    const int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(s, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 3;
    pid_t pid = getpid();
    iovec part{&pid, sizeof pid};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof keeper)];
    msghdr m{};
    m.msg_iov = &part;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof keeper);
    std::memcpy(CMSG_DATA(c), &keeper, sizeof keeper);
    if (sendmsg(s, &m, 0) < 0) return 4;
    close(keeper);
    char end = 0;
    (void)!read(s, &end, 1); // the test closes it, or sends a byte: an orderly end
    return 0;
}
