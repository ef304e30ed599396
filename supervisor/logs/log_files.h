// Opens log files for reading: never through a symbolic link, never anything but a regular file.
#pragma once

#include "supervisor/logs/fd.h"
#include "supervisor/logs/log_reader.h"

#include <sys/stat.h>

#include <string>
#include <vector>

namespace keepwell {

struct OpenLog {
    Fd file; // none: there is no such file
    struct stat info {};
};
Result<OpenLog> open_log(const std::string& path);

// read_last_lines, and where the stream went on when it was read.
struct LastLines {
    std::vector<std::string> lines;
    LogPosition end; // behind the last complete line
};
// with_rest: what follows the last '\n' counts as a line.
Result<LastLines> read_last(const std::string& dir, const std::string& key, std::size_t n,
                            bool with_rest);

} // namespace keepwell
