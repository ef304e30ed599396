// A rotated log, compressed: KEY.log.SEQ.gz, which every gzip reads as well.
//
// It is made of gzip members of 256 KiB of text, each of which says in its header how long it is,
// and the inode of the file that it was made of. So a reader gets at any byte, also from the end,
// with one member in memory. Nothing throws but for want of memory.
#pragma once

#include "supervisor/logs/fd.h"
#include "units/result.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace keepwell {

// Writes `target` anew from `source`: to a temporary name, fsync, rename. The error's code is
// ECANCELED after `stop`. Mode, owner and time of change are those of the source.
Status pack_log(const std::string& source, const std::string& target,
                const std::atomic<bool>& stop);
std::string packed_temporary(const std::string& target); // what a killed pack_log() leaves

class PackedLog {
  public:
    static Result<PackedLog> open(Fd file, const std::string& path);
    std::uint64_t size() const { return size_; }   // of the text
    std::uint64_t inode() const { return inode_; } // of the file it was made of
    // Text [offset, offset + size) as far as there is any; less also after an error.
    std::size_t read(std::uint64_t offset, char* to, std::size_t size);

  private:
    struct Member {
        std::uint64_t at = 0, text_at = 0;
        std::uint32_t size = 0, text_size = 0;
    };
    bool load(std::size_t member);

    Fd file_;
    std::vector<Member> members_;
    std::uint64_t size_ = 0, inode_ = 0;
    std::size_t loaded_ = static_cast<std::size_t>(-1);
    std::vector<char> packed_, text_;
};

} // namespace keepwell
