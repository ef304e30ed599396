// ByteServer: a tiny server of raw bytes in a thread of its own, for tests of clients.
//
// Each accepted connection is handed, one after the other in threads of their own, to the handler
// with its descriptor; the handler reads and writes as it likes and returns. The destructor shuts
// every connection down (so a handler blocked in recv or send comes back) and joins. TCP listens on
// a free port of 127.0.0.1; a path makes it a unix socket.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace keepwell::test {

class ByteServer {
  public:
    using Handler = std::function<void(int fd, const std::atomic<bool>& stopping)>;

    explicit ByteServer(Handler handler, const std::string& unix_path = {})
        : handler_(std::move(handler)), listener_(listen_on(unix_path)) {
        thread_ = std::thread([this] { accept_all(); });
    }
    ~ByteServer() {
        stopping_ = true;
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        {
            const std::lock_guard lock(mutex_);
            for (const int fd : open_) shutdown(fd, SHUT_RDWR);
        }
        for (auto& t : workers_) t.join();
        close(listener_);
    }
    ByteServer(const ByteServer&) = delete;
    ByteServer& operator=(const ByteServer&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    std::string url(const std::string& path = "/") const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }
    int accepted() const noexcept { return accepted_; }

    // Reads up to the empty line that ends a request's header; false when the client is gone.
    static bool read_request(int fd, std::string* to = nullptr) {
        std::string text;
        char c = 0;
        while (!text.ends_with("\r\n\r\n")) {
            if (recv(fd, &c, 1, 0) != 1) return false;
            text += c;
        }
        if (to != nullptr) *to = text;
        return true;
    }
    static bool write_all(int fd, std::string_view text) {
        while (!text.empty()) {
            const ssize_t n = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    // A handler that answers every request of a connection with the same bytes.
    static Handler always(std::string answer) {
        return [answer = std::move(answer)](int fd, const std::atomic<bool>&) {
            while (read_request(fd) && write_all(fd, answer)) {
            }
        };
    }
    static std::string response(const std::string& status, const std::string& body,
                                const std::string& headers = {}) {
        return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n" + headers + "\r\n" + body;
    }

  private:
    int listen_on(const std::string& path) {
        const bool local = !path.empty();
        const int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        std::strncpy(un.sun_path, path.c_str(), sizeof un.sun_path - 1);
        auto* address = local ? reinterpret_cast<sockaddr*>(&un) : reinterpret_cast<sockaddr*>(&in);
        socklen_t size = local ? sizeof un : sizeof in;
        if (fd < 0 || bind(fd, address, size) != 0 || listen(fd, 128) != 0)
            throw std::runtime_error("cannot listen");
        if (!local) {
            getsockname(fd, address, &size);
            port_ = ntohs(in.sin_port);
        }
        return fd;
    }
    void accept_all() {
        while (!stopping_) {
            const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd < 0) return;
            ++accepted_;
            const std::lock_guard lock(mutex_);
            open_.push_back(fd);
            workers_.emplace_back([this, fd] {
                handler_(fd, stopping_);
                const std::lock_guard again(mutex_);
                std::erase(open_, fd);
                close(fd);
            });
        }
    }

    Handler handler_;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<int> accepted_{0};
    std::mutex mutex_;
    std::vector<int> open_;
    std::vector<std::thread> workers_;
    int listener_;
    std::thread thread_;
};

} // namespace keepwell::test
