// A listening TCP socket on one address of the configuration: "127.0.0.1:5001", "[::1]:5001",
// "0.0.0.0:5001", "localhost:5001" (the same as 127.0.0.1). Port 0: the kernel's choice.
//
// Names are not looked up: nothing here waits for a resolver. IPv6 sockets take IPv6 only.
// Close-on-exec. Errors say what to do.
#pragma once

#include "units/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace keepwell::api {

bool is_loopback(std::string_view listen) noexcept; // of such an address with its port

class TcpSocket {
  public:
    static Result<TcpSocket> open(const std::string& listen);
    ~TcpSocket();
    TcpSocket(TcpSocket&&) noexcept;
    TcpSocket& operator=(TcpSocket&&) = delete;
    TcpSocket(const TcpSocket&) = delete;
    int fd() const { return fd_; }
    const std::string& address() const { return address_; } // with the real port

  private:
    TcpSocket(int fd, std::string address) : fd_(fd), address_(std::move(address)) {}
    int fd_ = -1;
    std::string address_;
};

} // namespace keepwell::api
