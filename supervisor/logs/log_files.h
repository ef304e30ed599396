// Opens log files for reading, plain or compressed: never through a symbolic link, never anything
// but a regular file.
#pragma once

#include "supervisor/logs/fd.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/packed_log.h"

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

namespace keepwell {

struct OpenLog {
    Fd file;             // none: there is no such file, or it is packed
    struct stat info {}; // of a packed one: inode and size are those of the text
    std::unique_ptr<PackedLog> packed;
    std::string path; // of the text; also names its time index
    bool exists() const { return file || packed; }
    // As far as there are bytes; -1 with errno.
    ssize_t read(std::uint64_t offset, char* to, std::size_t size);
};
Result<OpenLog> open_log(const std::string& path);
Result<OpenLog> open_rotated_log(const std::string& dir, const std::string& key,
                                 std::uint64_t sequence);

// read_last_lines, and where the stream went on when it was read.
struct LastLines {
    std::vector<std::string> lines;
    LogPosition end;    // behind the last complete line
    LogPosition begin;  // of the first one
    bool whole = false; // there are no others before them
};
// with_rest: what follows the last '\n' counts as a line.
Result<LastLines> read_last(const std::string& dir, const std::string& key, std::size_t n,
                            bool with_rest, bool with_text = true);

} // namespace keepwell
