// Name servers for tests of the DNS client: dnsmasq with a few names, and one that answers whatever
// bytes a test makes of a question.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace keepwell::test {

class UdpSocket { // bound to a free port of 127.0.0.1
  public:
    UdpSocket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof in;
        auto* address = reinterpret_cast<sockaddr*>(&in);
        if (fd_ < 0 || bind(fd_, address, size) != 0 || getsockname(fd_, address, &size) != 0)
            throw std::runtime_error("cannot bind");
        port_ = ntohs(in.sin_port);
    }
    ~UdpSocket() { close(fd_); }
    UdpSocket(const UdpSocket&) = delete;
    UdpSocket& operator=(const UdpSocket&) = delete;
    int fd() const { return fd_; }
    std::uint16_t port() const { return port_; }
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  private:
    int fd_;
    std::uint16_t port_ = 0;
};

// Answers every question with what `answer` makes of it; nothing for an empty text.
class UdpServer {
  public:
    explicit UdpServer(std::function<std::string(const std::string&)> answer)
        : answer_(std::move(answer)), thread_([this] { serve(); }) {}
    ~UdpServer() {
        stopping_ = true;
        thread_.join();
    }
    UdpServer(const UdpServer&) = delete;
    UdpServer& operator=(const UdpServer&) = delete;
    std::string address() const { return socket_.address(); }
    int asked() const { return asked_; }

    // The question with its header turned into an answer with this code and no records.
    static std::string refusal(std::string question, int code) {
        question[2] = static_cast<char>(question[2] | 0x80);
        question[3] = static_cast<char>(code);
        return question;
    }

  private:
    void serve() {
        while (!stopping_) {
            pollfd p{socket_.fd(), POLLIN, 0};
            if (poll(&p, 1, 10) <= 0) continue;
            std::array<char, 2048> buffer{};
            sockaddr_in from{};
            socklen_t size = sizeof from;
            auto* address = reinterpret_cast<sockaddr*>(&from);
            const ssize_t n =
                recvfrom(socket_.fd(), buffer.data(), buffer.size(), 0, address, &size);
            if (n < 12) continue;
            ++asked_;
            const std::string reply =
                answer_(std::string(buffer.data(), static_cast<std::size_t>(n)));
            if (!reply.empty()) sendto(socket_.fd(), reply.data(), reply.size(), 0, address, size);
        }
    }

    UdpSocket socket_;
    std::function<std::string(const std::string&)> answer_;
    std::atomic<bool> stopping_{false};
    std::atomic<int> asked_{0};
    std::thread thread_;
};

// dnsmasq as the only authority for *.test.
class Dnsmasq {
  public:
    explicit Dnsmasq(const std::vector<std::string>& records) {
        port_ = UdpSocket().port(); // free a moment ago
        const passwd* me = getpwuid(geteuid());
        std::vector<std::string> args = {"dnsmasq",
                                         "--keep-in-foreground",
                                         "--conf-file=/dev/null",
                                         "--pid-file=",
                                         "--log-facility=/dev/null",
                                         "--no-resolv",
                                         "--no-hosts",
                                         "--bind-interfaces",
                                         "--listen-address=127.0.0.1",
                                         "--local=/test/",
                                         "--port=" + std::to_string(port_),
                                         "--user=" + std::string(me ? me->pw_name : "nobody")};
        args.insert(args.end(), records.begin(), records.end());
        std::vector<char*> argv;
        argv.reserve(args.size() + 1);
        for (std::string& arg : args) argv.push_back(arg.data());
        argv.push_back(nullptr);
        pid_ = fork();
        if (pid_ != 0) return;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", 1);
        execvp(argv[0], argv.data());
        _exit(127);
    }
    ~Dnsmasq() {
        if (pid_ <= 0) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Dnsmasq(const Dnsmasq&) = delete;
    Dnsmasq& operator=(const Dnsmasq&) = delete;
    std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  private:
    std::uint16_t port_ = 0;
    pid_t pid_ = 0;
};

} // namespace keepwell::test
