#include "supervisor/logs/line_finder.h"

#include <cerrno>
#include <fcntl.h>

namespace keepwell {

LineFinder::LineFinder() : buffer_(kTurnBytes) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    ::fcntl(write_.get(), F_SETPIPE_SZ, static_cast<int>(kTurnBytes)); // refused: sees less at once
}

std::string_view LineFinder::peek(int pipe, std::size_t limit) {
    ssize_t copied = 0;
    do {
        copied = ::tee(pipe, write_.get(), std::min(limit, buffer_.size()), SPLICE_F_NONBLOCK);
    } while (copied < 0 && errno == EINTR);
    if (copied <= 0) return {};
    std::size_t got = 0;
    while (got < static_cast<std::size_t>(copied)) {
        const ssize_t n = ::read(read_.get(), buffer_.data() + got, buffer_.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
    }
    return {buffer_.data(), got};
}

} // namespace keepwell
