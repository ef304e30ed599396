// Client: one HTTP request at a time to the supervisor's control socket, synchronously.
//
// A Client keeps its connection between requests. An answer of any HTTP status is a Response; only
// what prevents an answer is an Error, and its code says what kind (see below). Not for the
// supervisor: it blocks. libcurl is set up by the first request: a verb that asks nobody does
// without its time and memory.
#pragma once

#include "units/result.h"

#include <memory>
#include <string>
#include <string_view>

namespace keepwell::cli {

struct Response {
    long status = 0;
    std::string body;
};

// Error::code of a failed request is the errno: ENOENT, ECONNREFUSED = nobody is there; EACCES =
// the socket may not be opened; ETIMEDOUT = it does not answer; others as they come. 0 = the
// library's message.
bool nobody_there(const Error&);

class Client {
  public:
    explicit Client(std::string socket_path, long timeout_ms = 30'000);
    ~Client();
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    Result<Response> get(const std::string& path);
    Result<Response> post(const std::string& path, const std::string& json);
    const std::string& socket_path() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

std::string url_part(std::string_view text); // percent-encoded for one segment of a path

} // namespace keepwell::cli
