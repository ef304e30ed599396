// Bytes as a PID file and as /proc/PID/stat: a PID in range or none.
#include "watchers/pid_file.h"
#include "watchers/procfs.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto pid = keepwell::parse_pid(text); pid && (*pid < 1 || *pid > (1 << 22)))
        std::abort();
    const auto stat = keepwell::parse_stat(text);
    if (stat && stat->name.size() > size) std::abort();
    return 0;
}
