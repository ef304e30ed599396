// ProcessHandle: a process that is not our child, held by a pidfd, so that a signal reaches it or
// nobody.
//
// open() compares the start time after the descriptor is there: a pid that was reused in between is
// found out. Never throws.
#pragma once

#include <cstdint>
#include <string>

namespace keepwell {

class ProcessHandle { // owns a pidfd
  public:
    ProcessHandle() = default;
    // Empty when there is no such process any more.
    static ProcessHandle open(std::int64_t pid, std::uint64_t start_ticks);
    ProcessHandle(ProcessHandle&& other) noexcept : fd_(other.release()) {}
    ProcessHandle& operator=(ProcessHandle&&) noexcept;
    ~ProcessHandle();

    explicit operator bool() const noexcept { return fd_ >= 0; }
    bool alive() const noexcept;
    bool signal(int signal) const noexcept;
    int fd() const noexcept { return fd_; } // readable once it has ended; -1 = empty

  private:
    int release() noexcept;
    int fd_ = -1;
};

} // namespace keepwell
