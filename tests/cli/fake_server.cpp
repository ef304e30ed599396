#include "tests/cli/fake_server.h"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

FakeServer::FakeServer() {
    char pattern[] = "/tmp/keepwell-cli-XXXXXX";
    if (mkdtemp(pattern) == nullptr) throw std::runtime_error("mkdtemp");
    directory_ = pattern;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_path().c_str(), sizeof address.sun_path - 1);
    listen_fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool ready =
        bind(listen_fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        listen(listen_fd_, 16) == 0 && pipe2(stop_, O_CLOEXEC) == 0;
    if (!ready) throw std::runtime_error("cannot listen");
    thread_ = std::thread([this] { serve(); });
}

FakeServer::~FakeServer() {
    shut();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

void FakeServer::shut() {
    if (!thread_.joinable()) return;
    const char byte = 0;
    (void)!write(stop_[1], &byte, 1);
    thread_.join();
    close(listen_fd_);
    close(stop_[0]);
    close(stop_[1]);
    unlink(socket_path().c_str());
}

void FakeServer::on(const std::string& key, std::function<Answer(const Request&)> handler) {
    const std::lock_guard lock(mutex_);
    handlers_[key] = std::move(handler);
}

void FakeServer::on(const std::string& key, int status, const std::string& body) {
    on(key, [=](const Request&) { return Answer{status, body}; });
}

std::vector<Request> FakeServer::requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void FakeServer::serve() {
    for (;;) {
        pollfd fds[2] = {{listen_fd_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
        if (poll(fds, 2, -1) < 0) continue;
        if (fds[1].revents != 0) return;
        const int fd = accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) answer(fd);
    }
}

void FakeServer::answer(int fd) {
    const timeval patience{5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::string text;
    char buffer[4096];
    std::size_t head = std::string::npos;
    std::size_t length = 0;
    while (head == std::string::npos || text.size() < head + 4 + length) {
        const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        text.append(buffer, static_cast<std::size_t>(n));
        head = text.find("\r\n\r\n");
        const std::size_t at = text.find("Content-Length: ");
        if (at < head) length = std::strtoul(text.c_str() + at + 16, nullptr, 10);
    }
    if (head != std::string::npos) {
        Request request;
        const std::size_t space = text.find(' ');
        request.method = text.substr(0, space);
        request.path = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
        request.headers = text.substr(0, head);
        request.body = text.substr(head + 4);
        std::function<Answer(const Request&)> handler;
        {
            const std::lock_guard lock(mutex_);
            requests_.push_back(request);
            const std::string plain = request.path.substr(0, request.path.find('?'));
            const auto found = handlers_.find(request.method + " " + plain);
            if (found != handlers_.end()) handler = found->second;
        }
        const Answer reply =
            handler
                ? handler(request)
                : Answer{404, R"({"status":"error","error":"no such thing","code":"not_found"})"};
        const std::string out = "HTTP/1.1 " + std::to_string(reply.status) +
                                " X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                                "Content-Length: " +
                                std::to_string(reply.body.size()) + "\r\n\r\n" + reply.body;
        (void)!send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    }
    close(fd);
}
