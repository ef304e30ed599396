// Link: the supervisor's end of the socket to the keeper. Sends whole messages in order, queues
// what the socket does not take, and hands over each received one with its descriptors. Knows
// nothing of units.
#pragma once

#include "supervisor/keeper/wire.h"
#include "supervisor/uv/loop.h"

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace keepwell {

class UniqueFd { // owns one descriptor
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    ~UniqueFd() { reset(); }
    UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;

  private:
    int fd_ = -1;
};

struct Received {
    std::span<const std::byte> data; // at least a Header, whose size is right
    std::vector<UniqueFd> fds;
};

class Link {
  public:
    // on_message may destroy the Link. on_lost comes once, on the loop, when the peer is gone or
    // speaks another language.
    Link(uv::Loop&, int fd, std::function<void(Received&)> on_message,
         std::function<void()> on_lost);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    void start();
    void send(std::string message, UniqueFd fd = UniqueFd());
    bool flushed() const { return queue_.empty(); }

  private:
    struct Outgoing {
        std::string data;
        UniqueFd fd;
    };
    bool send_now(const Outgoing&); // false: the socket is full
    void on_event(int events);
    bool receive();
    void lose();

    UniqueFd fd_;
    std::function<void(Received&)> on_message_;
    std::function<void()> on_lost_;
    std::deque<Outgoing> queue_;
    std::vector<std::byte> buffer_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    bool lost_ = false;
    uv::Poll poll_;
    uv::Timer lost_timer_;
};

} // namespace keepwell
