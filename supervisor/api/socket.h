// The control socket: a listening unix socket on a path, with its rights and its end.
//
// A socket file that nobody answers is replaced; one with a living owner is an error that says what
// to do, and so is anything else in its place. Mode 0660 and group keepwell where that group
// exists, else 0600; it is never open wider, not even for a moment. The destructor closes it and
// removes the file if it still is ours.
#pragma once

#include "units/result.h"

#include <cstdint>
#include <string>

namespace keepwell::api {

class ListeningSocket {
  public:
    static Result<ListeningSocket> open(const std::string& path, const std::string& group);
    ~ListeningSocket();
    ListeningSocket(ListeningSocket&&) noexcept;
    ListeningSocket& operator=(ListeningSocket&&) = delete;
    ListeningSocket(const ListeningSocket&) = delete;
    int fd() const { return fd_; }

  private:
    ListeningSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    int fd_ = -1;
    std::string path_;
    std::uint64_t device_ = 0, inode_ = 0;
};

} // namespace keepwell::api
