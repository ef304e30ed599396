#include "supervisor/app/process_setup.h"

#include "supervisor/keeper/start_pages.h"

#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace keepwell {

std::string host_name() {
    char name[256] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

void set_up_log(const std::string& level) {
    spdlog::set_default_logger(spdlog::stderr_logger_mt("keepwell"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    spdlog::set_level(spdlog::level::from_str(level));
}

void keep_memory_small() {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
    mallopt(M_TRIM_THRESHOLD, 128 << 10);
}

void forget_start() {
    forget_start_pages();
    malloc_trim(0);
}

} // namespace keepwell
